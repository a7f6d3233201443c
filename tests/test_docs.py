"""README.md and docs/: their Python runs, their links lead somewhere, their flags exist."""

import dataclasses
import re

import numpy as np
import pytest
from conftest import ROOT

from keras_gan import training
from keras_gan.config import Config
from keras_gan.data.synthetic import digits
from keras_gan.evaluation import METRICS
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.relative_to(ROOT).as_posix(): page.read_text() for page in PAGES}
BLOCKS = {name: re.findall(r"```python\n(.*?)```", text, re.DOTALL) for name, text in TEXTS.items()}
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(monkeypatch, tmp_path, tiny_npz):
    """An empty working directory, with little data, and registries that forget what is added."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_GAN_DATA", str(tiny_npz))
    before = [(registry, dict(registry)) for registry in (METRICS, LOSSES, PENALTIES)]
    yield tmp_path
    for registry, entries in before:
        registry.clear()
        registry.update(entries)


@pytest.fixture
def run_directory(folder):
    """The run that the pages speak of, after two steps, on images that have a test half."""
    (images, _), (held_out, _) = digits(1000, seed=0), digits(500, seed=1)
    np.savez("mnist.npz", x_train=images[..., 0], x_test=held_out[..., 0])
    config = Config(
        data_path="mnist.npz",
        epochs=1,
        steps_per_epoch=2,
        fid_every=0,
        model_dir="runs/mnist-dcgan-lsgan",
    )
    return training.run(config)


def execute(name):
    """Runs the blocks of a page one after another and returns their names."""
    names = {}
    for i, block in enumerate(BLOCKS[name]):
        exec(compile(block, f"{name}, block {i + 1}", "exec"), names)
    return names


def test_readme_runs(folder):
    names = execute("README.md")
    assert names["images"].shape == (16, 28, 28, 1)
    loaded = names["keras"].models.load_model("gan.keras")
    assert loaded.adversarial_loss == LOSSES["lsgan"]()
    assert (folder / "export/saved_model.pb").exists()


def test_runs_page_runs(run_directory):
    names = execute("docs/runs.md")
    assert names["images"].shape == (8, 28, 28, 1)
    assert names["p"].shape == (8, 1)


def test_scores_page_runs(run_directory, monkeypatch, folder):
    monkeypatch.setenv("KERAS_GAN_DATA", str(folder / "mnist.npz"))
    names = execute("docs/scores.md")
    assert set(names["record"]["scores"]) == {"fid", "precision", "recall"}


def test_extending_page_runs(folder):
    names = execute("docs/extending.md")
    assert (folder / "samples/epoch-0003.png").exists()
    assert (folder / "history.csv").read_text().count("\n") == 3  # a header and epochs 2 and 3
    assert (folder / "runs/short/export/saved_model.pb").exists()
    # What the page adds works: the loss and the penalty are saved, the architecture builds.
    gan = names["keras_gan"].GAN(names["generator"], names["discriminator"])
    gan.compile("adam", "adam", loss=names["TotalVariation"](), penalty=names["Drift"](0.5))
    gan.save("own.keras")
    loaded = names["keras"].models.load_model("own.keras")
    assert loaded.adversarial_loss == names["TotalVariation"]()
    assert loaded.penalty == names["Drift"](0.5)
    assert len(names["gan"].generator.layers) == 2
    assert names["entry"].generator(32, (8, 8, 3)).output_shape == (None, 8, 8, 3)
    assert set(names["scores"]) == {"fid"}


def test_every_python_block_is_run():
    tested = {"README.md", "docs/runs.md", "docs/scores.md", "docs/extending.md"}
    assert {name for name, blocks in BLOCKS.items() if blocks} == tested


def anchors(text):
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXTS)
def test_links_lead_somewhere(name):
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[name]):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        assert page.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(page.read_text()), f"{name}: {target}"


def test_index_links_every_page():
    listed = set(re.findall(r"\]\((\w+\.md)\)", TEXTS["docs/README.md"]))
    assert listed == {page.name for page in PAGES if page.name != "README.md"}


def test_readme_takes_five_minutes():
    assert len(TEXTS["README.md"].splitlines()) <= 150


@pytest.mark.parametrize("name", TEXTS)
def test_lines_are_short(name):
    lines = TEXTS[name].splitlines()
    assert [line for line in lines if len(line) > 110 and not line.startswith("|")] == []


def flags_of_commands():
    """The flags of train.py, sample.py and keras_gan.evaluate, and the switches `--no...`."""
    fields = dataclasses.fields(Config)
    sources = [ROOT / "sample.py", *(ROOT / "keras_gan").glob("*.py")]
    defined = "\n".join(path.read_text() for path in sources)
    switches = {field.name for field in fields if "bool" in str(field.type)}
    switches |= set(re.findall(r'DEFINE_bool\(\s*"(\w+)"', defined))
    return (
        {field.name for field in fields}
        | set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', defined))
        | {f"no{switch}" for switch in switches}
        | {"help"}
    )


@pytest.mark.parametrize("name", TEXTS)
def test_flags_exist(name):
    named = set(re.findall(r"(?<![\w-])--([a-zA-Z]\w*)", TEXTS[name]))
    assert named <= flags_of_commands()


def test_readme_names_every_choice():
    rows = re.findall(r"^\|(.*)\|$", TEXTS["README.md"], re.MULTILINE)
    cells = {cell.strip(" *`") for row in rows for cell in row.split("|")}
    assert {*ARCHITECTURES, *LOSSES, *(f"--penalty={name}" for name in PENALTIES)} <= cells
