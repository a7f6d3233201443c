"""Imports follow the direction of the data, never the other way."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

PACKAGE = ROOT / "keras_gan"

# What each file may import of the package, in the order in which data flows.
ALLOWED = {
    "": set(),
    "backend": set(),
    "_lazy": {"backend"},
    "replicas": {"backend"},
    "files": {"backend"},
    "images": {"files"},
    "seeds": {"backend"},
    "augment": {"backend", "replicas"},
    "losses": {"backend", "replicas"},
    "penalties": {"backend", "replicas"},
    "layers": set(),
    "optimizers": set(),
    "plots": {"files"},
    "data.pictures": {"files"},
    "data.readers": {"data.pictures", "files"},
    "data.synthetic": set(),
    "data": {"backend", "data.pictures", "data.readers", "data.synthetic", "files"},
    "networks.mlp": {"backend"},
    "networks.dcgan": {"backend"},
    "networks.maxout": {"backend"},
    "networks": {
        "augment", "backend", "networks.dcgan", "networks.maxout", "networks.mlp", "optimizers",
        "penalties",
    },
    "config": {"augment", "data", "data.pictures", "losses", "networks", "penalties", "seeds"},
    "run_directory": {"files"},
    "commands": {"files", "run_directory"},
    "export": {"backend", "commands", "files", "images", "run_directory"},
    "model": {
        "augment", "export", "layers", "losses", "optimizers", "penalties", "replicas", "seeds",
    },
    "evaluation.scores": set(),
    "evaluation.network": {"backend", "evaluation.scores", "files", "images"},
    "evaluation.samples": {"evaluation.network", "evaluation.scores", "images"},
    "evaluation.metrics": {"evaluation.network", "evaluation.samples", "evaluation.scores"},
    "evaluation.comparison": {
        "data", "evaluation.metrics", "evaluation.network", "evaluation.samples",
        "evaluation.scores", "export", "run_directory",
    },
    "evaluation": {
        "evaluation.comparison", "evaluation.metrics", "evaluation.network", "evaluation.samples",
        "evaluation.scores",
    },
    "latents": {"backend", "evaluation.network", "evaluation.scores", "images"},
    "report": {
        "commands", "config", "files", "images", "networks", "plots", "run_directory",
    },
    "checkpoint": {"files", "replicas"},
    "callbacks": {
        "checkpoint", "evaluation", "evaluation.scores", "files", "images", "plots", "replicas",
        "report",
    },
    "training": {
        "backend", "callbacks", "config", "data", "files", "layers", "losses", "model", "networks",
        "replicas", "run_directory",
    },
    "evaluate": {
        "commands", "data", "files", "evaluation", "evaluation.network", "report", "run_directory",
    },
    "launch": {"commands"},
    "train.py": {"commands", "config", "networks", "training"},
    "sample.py": {
        "commands", "data.pictures", "data.readers", "export", "files", "images", "latents",
        "run_directory",
    },
}  # fmt: skip


def module_name(path):
    if path.parent == ROOT:
        return path.name
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {module_name(path): path for path in PACKAGE.rglob("*.py")}
FILES = {**MODULES, "train.py": ROOT / "train.py", "sample.py": ROOT / "sample.py"}


def imported(path):
    """Modules of the package that a file imports, at its top or in a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "keras_gan":
            base = node.module.removeprefix("keras_gan").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                yield inner if inner in MODULES else base
        elif isinstance(node, ast.Import):
            # `import keras_gan` would hide which module an attribute of it needs.
            assert not any(alias.name.split(".")[0] == "keras_gan" for alias in node.names), path


@pytest.mark.parametrize("name", FILES)
def test_imports_run_one_way(name):
    # The package itself only gives InputError and __version__.
    assert set(imported(FILES[name])) - {""} <= ALLOWED[name]


def test_no_arrow_runs_back():
    order = list(ALLOWED)
    assert set(order) == set(FILES)
    for name, allowed in ALLOWED.items():
        assert all(order.index(other) < order.index(name) for other in allowed), name


def test_flags_need_neither_tensorflow_nor_keras():
    code = (
        "import sys, keras_gan.training, keras_gan.evaluate, keras_gan.images; "
        "sys.exit(bool({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
