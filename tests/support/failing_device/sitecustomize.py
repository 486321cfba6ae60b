"""A device that fails in training, in real workers: the interpreter loads this where its folder is on the path.

REGIMEN_TEST_DEVICE holds {"fits": n} (a pass of more than n members raises torch's out-of-memory error) or {"breaks":
path} (the first pass of all raises torch's error of an illegal access, and makes the file `path`) or {"hangs": path}
(the first pass of all makes the file and never ends; the device's stream then passes no mark).
"""

import importlib.util
import json
import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

MODULE = "regimen.engine.lockstep"


class Finder:
    """Finds the training module as usual, and has it changed once it is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        load = spec.loader.exec_module

        def load_and_change(module):
            load(module)
            change(module.Lockstep)

        spec.loader.exec_module = load_and_change
        return spec


def change(lockstep):
    import torch

    from regimen.engine import device_watch

    stuck = threading.Event()
    device_watch.can_hang = lambda device: True
    device_watch.mark_of = lambda device: SimpleNamespace(query=lambda: not stuck.is_set())
    device_watch.LIMIT_SECONDS, device_watch.EVERY_SECONDS = 1.0, 0.1
    one_pass = lockstep._one_pass

    def failing(self, inputs):
        if len(self._bank) > DEVICE.get("fits", len(self._bank)):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")
        if "breaks" in DEVICE and not Path(DEVICE["breaks"]).exists():
            Path(DEVICE["breaks"]).touch()
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCompile with ...")
        if "hangs" in DEVICE and not Path(DEVICE["hangs"]).exists():
            Path(DEVICE["hangs"]).touch()
            stuck.set()
            threading.Event().wait()
        return one_pass(self, inputs)

    lockstep._one_pass = failing


if "REGIMEN_TEST_DEVICE" in os.environ:
    DEVICE = json.loads(os.environ["REGIMEN_TEST_DEVICE"])
    sys.meta_path.insert(0, Finder())
