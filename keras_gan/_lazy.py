"""`keras` and `tf` for modules that hold registries: imported at first use.

`train.py --help` and a wrong flag need the names in LOSSES, ARCHITECTURES and
DATASETS, and must not wait seconds for TensorFlow.
"""

import importlib
import importlib.abc
import importlib.util
import os
import sys


class _Lazy:
    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)


keras = _Lazy("keras")
tf = _Lazy("tensorflow")


def load_tensorflow():
    """Imports TensorFlow without its start-up notes, which no setting of its own silences."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its errors come as exceptions, too
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        importlib.import_module("tensorflow")
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Calls `action` once, as soon as the module `name` has been imported."""

    def __init__(self, name, action):
        self.name = name
        self.action = action

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None:
            return None
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            self.action()

        spec.loader.exec_module = exec_module
        return spec


def after_import(name, action):
    """Calls `action()` now if the module `name` is imported, else right after it has been."""
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _AfterImport(name, action))
