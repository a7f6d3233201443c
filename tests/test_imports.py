"""The folders show which way data flows; imports run that way and no other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "keras_gan"

LEAF = {"_lazy"}
ALLOWED = {
    "": {"_lazy"},
    "_lazy": set(),
    "_command": set(),
    "images": set(),
    "losses": LEAF,
    "penalties": LEAF,
    "layers": set(),
    "synthetic": set(),
    "data": LEAF | {"synthetic"},
    "optimizers": set(),
    "networks": {"_lazy", "networks.dcgan", "networks.maxout", "networks.mlp"},
    "networks.mlp": LEAF,
    "networks.dcgan": LEAF,
    "networks.maxout": LEAF | {"optimizers"},
    "config": {"data", "losses", "networks", "penalties"},
    "model": {"losses", "penalties"},
    "exported": LEAF | {"images"},
    "evaluation.scores": set(),
    "evaluation": LEAF | {"evaluation.scores", "images"},
    "callbacks": {"evaluation", "evaluation.scores", "images"},
    "training": {"_lazy", "config", "data", "exported", "losses", "networks", "penalties"},
    "evaluate": {"_command", "_lazy", "config", "data", "evaluation", "exported"},
    "train.py": {"_command", "config", "networks", "training"},
    "sample.py": {"_command", "exported", "images"},
}


def module_name(path):
    if path.parent == ROOT:
        return path.name
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imported(path):
    """Modules of the package that a file imports anywhere in it."""
    modules = {module_name(p) for p in PACKAGE.rglob("*.py")}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "keras_gan":
            base = node.module.removeprefix("keras_gan").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                name = inner if inner in modules else base
                if name:
                    yield name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("keras_gan."):
                    yield alias.name.removeprefix("keras_gan.")


@pytest.mark.parametrize(
    "path", [*PACKAGE.rglob("*.py"), ROOT / "train.py", ROOT / "sample.py"], ids=module_name
)
def test_imports_run_one_way(path):
    assert set(imported(path)) <= ALLOWED[module_name(path)]


def test_flags_need_neither_tensorflow_nor_keras():
    code = (
        "import sys, keras_gan.training, keras_gan.images, keras_gan._command; "
        "sys.exit(bool({'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
