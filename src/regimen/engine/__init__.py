"""The frozen base, the adapters over it, training in lockstep, scoring and generation.

Import from the modules: this package loads nothing by itself, so that finding a model's files needs no torch.
"""
