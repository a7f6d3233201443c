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
        self.asking = False

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name or self.asking:
            return None
        self.asking = True
        spec = importlib.util.find_spec(fullname)  # from all the other finders
        self.asking = False
        if spec is not None:
            load = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._load(load, module)
        return spec

    def _load(self, load, module):
        load(module)
        if self in sys.meta_path:
            sys.meta_path.remove(self)
            self.action()


def after_import(name, action):
    """Calls `action()` now if the module `name` is imported, else right after it has been."""
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _AfterImport(name, action))
