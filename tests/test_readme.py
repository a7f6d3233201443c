"""The README's Python runs as it stands there."""

import re

import pytest
from conftest import ROOT

from keras_gan.networks import ARCHITECTURES

BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.fixture
def registries():
    yield
    ARCHITECTURES.pop("linear", None)


def test_python_blocks(registries, monkeypatch, tmp_path, tiny_npz):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_GAN_DATA", str(tiny_npz))
    program = "\n".join(BLOCKS)
    assert len(BLOCKS) == 3
    names = {}
    exec(compile(program, "README.md", "exec"), names)
    assert names["images"].shape == (16, 28, 28, 1)
    assert (tmp_path / "samples/epoch-0003.png").exists()
    assert (tmp_path / "export/saved_model.pb").exists()
    # What the blocks add works: the loss trains and saves, the architecture builds.
    gan = names["gan"]
    gan.fit(names["dataset"], steps_per_epoch=2, verbose=0, shuffle=False)
    gan.save(tmp_path / "other.keras")
    loaded = names["keras"].models.load_model(tmp_path / "other.keras")
    assert loaded.adversarial_loss == names["TotalVariation"]()
    assert ARCHITECTURES["linear"].generator(32, (28, 28, 1)).output_shape == (None, 28, 28, 1)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([\w./-]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / target).exists(), target
