"""Sources -> rows -> text with loss spans -> token blocks -> the batch of step n."""
