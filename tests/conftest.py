import os
import signal
import subprocess
import sys

import forks
import numpy as np
import pytest
from PIL import Image

# Before TensorFlow is imported anywhere; the commands set it for themselves.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Those of a foreground process: nohup ignores SIGHUP, and a shell's background jobs SIGINT.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = forks.ROOT


def picture(path):
    """The pixels of a PNG file."""
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.fixture(scope="session")
def digits():
    """uint8 [N, 28, 28, 1]: MNIST where KERAS_GAN_DATA names it, else synthetic digits."""
    from keras_gan import data

    if os.environ.get(data.ENVIRONMENT_VARIABLE):
        return data.load("mnist").images
    return data.load("synthetic").images


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory):
    """A `.npz` of 500 synthetic digits: small runs need no more."""
    from keras_gan.data import synthetic

    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    images, labels = synthetic.digits(500, seed=0)
    np.savez(path, x_train=images[..., 0], y_train=labels)
    return path


@pytest.fixture(scope="session")
def command():
    """Runs `python SCRIPT FLAGS` as a user does, and gives the finished process."""
    return forks.run


@pytest.fixture(scope="session")
def fresh_command():
    """The same in a process that begins with nothing imported."""

    def run(script, *flags, **environment):
        return subprocess.run(
            [sys.executable, script, *map(str, flags)],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ROOT,
            env={**os.environ, **environment},
        )

    return run
