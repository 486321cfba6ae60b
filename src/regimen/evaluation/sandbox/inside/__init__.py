"""The code that runs inside the sandbox: it imports the standard library and its own neighbours, nothing else.

`codec` and `channel` are spoken on both sides of the wall; `confine` builds the wall where bubblewrap does
not; `limits` lowers the ceiling; `candidate` runs a generated program, `tester` a data set's test.
"""
