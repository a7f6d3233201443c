"""`pip install .` in an empty environment: what is installed is all that is needed."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

from keras_gan.data import synthetic


@pytest.mark.slow
def test_installed_package_works_without_the_checkout(tmp_path):
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"

    def run(*arguments):
        done = subprocess.run(
            [python, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(ROOT))
    where = "import keras_gan; from keras_gan import GAN; print(keras_gan.__file__, GAN)"
    assert run("-c", where).startswith(str(tmp_path))
    images = synthetic.digits(500, seed=0)[0]
    np.savez(tmp_path / "digits.npz", x_train=images, x_test=images[:400])
    np.save(tmp_path / "x.npy", images[:400])
    flags = ("--images=x.npy", "--data_path=digits.npz", "--metrics=fid")
    assert "features of mnist-cnn-v1" in run("-m", "keras_gan.evaluate", *flags)
    assert (tmp_path / "evaluation.json").exists()
    code = """
from keras_gan import report
from keras_gan.export import PRETRAINED, SavedGenerator
generator = SavedGenerator(PRETRAINED["mnist"])
print(report.TEMPLATE.exists(), generator.images(generator.latents(2, 0, [7])).shape)
"""
    assert "True (2, 28, 28, 1)" in run("-c", code)
