"""One function a stage kind: specs in, outcomes on disk. A job is a cohort of stages of one kind.

Import from the modules: this package loads nothing by itself, so that a driver needs no torch.
"""
