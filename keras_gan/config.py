"""`Config`: every setting of a training, once: its default, its help text, its limits."""

import dataclasses
import importlib.metadata
import json
import math
import os
import platform

import keras_gan
from keras_gan import InputError
from keras_gan.data import DATASETS
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

# Keras starts this many steps at once where an epoch is a multiple: one at a time costs up to a
# tenth of the speed.
STEPS_PER_EXECUTION = 4

_COUNT = (lambda value: value >= 1, "at least 1")
_COUNT_OR_NONE = (lambda value: value >= 0, "at least 0")
_POSITIVE = (lambda value: 0 < value < math.inf, "a positive number")
_SIZE = (lambda value: 0 <= value < math.inf, "0 or a positive number")
_SHARE = (lambda value: 0 <= value < 1, "0 <= value < 1")
_SEED = (lambda value: 0 <= value < 2**31, "0 <= value < 2**31")


def _setting(default, help, limits=None, choices=None, identity=True):
    """A field. Two runs in one directory may differ in it if it is not of their `identity`."""
    if choices:
        limits = (lambda value: value in choices, f"one of {', '.join(choices)}")
    metadata = {"help": help, "limits": limits, "choices": choices, "identity": identity}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of `python train.py`, a field for each flag.

    What is None is settled by `resolve`: it is the architecture's, or follows from the data.

    Raises:
        InputError: if a value is out of range.
    """

    arch: str = _setting("dcgan", "Architecture of both networks.", choices=tuple(ARCHITECTURES))
    loss: str = _setting("lsgan", "Adversarial loss.", choices=tuple(LOSSES))
    # In the place of a data set's name, its pixels' SHA-256 tells two runs apart.
    dataset: str = _setting(
        "auto", "Images. auto: MNIST or synthetic.", choices=tuple(DATASETS), identity=False
    )
    data_path: str | None = _setting(
        None, "A .npz, MNIST's four IDX files, or a folder of images.", identity=False
    )
    epochs: int | None = _setting(None, "Train up to this epoch.", _COUNT, identity=False)
    steps_per_epoch: int | None = _setting(
        None, "Generator updates per epoch (default: once through the images).", _COUNT
    )
    batch_size: int | None = _setting(None, "Images per discriminator update.", _COUNT)
    latent_dim: int | None = _setting(None, "Size of the latent vector.", _COUNT)
    d_steps: int = _setting(1, "k of Algorithm 1: discriminator updates per step.", _COUNT)
    simultaneous: bool | None = _setting(None, "Both gradients from one forward pass.")
    g_lr: float | None = _setting(None, "Generator's learning rate.", _POSITIVE)
    d_lr: float | None = _setting(None, "Discriminator's learning rate.", _POSITIVE)
    penalty: str | None = _setting(
        None,
        "Gradient penalty on the discriminator; with wasserstein wgan_gp if left open.",
        choices=("none", *PENALTIES),
    )
    penalty_weight: float | None = _setting(
        None,
        "Its weight (default: "
        + ", ".join(f"{name} {penalty().weight:g}" for name, penalty in PENALTIES.items())
        + ").",
        _POSITIVE,
    )
    spectral_norm: bool | None = _setting(
        None,
        "Spectral normalisation in the discriminator (default: only for mlp with lsgan and no "
        "--penalty chosen).",
    )
    weight_clip: float | None = _setting(
        None,
        "Clip the discriminator's kernels to [-c, c]; 0: don't (default: 0.01 for wasserstein "
        "with neither a penalty nor spectral_norm, else 0).",
        _SIZE,
    )
    label_smoothing: float = _setting(
        0.0, "One-sided: moves D's real target so far to the fakes'.", _SHARE
    )
    ema_decay: float | None = _setting(
        None, "Sample from a moving average of the generator's weights; 0: don't.", _SHARE
    )
    max_minutes: float | None = _setting(
        None, "Stop after this much training, as a finished run.", _POSITIVE, identity=False
    )
    model_dir: str | None = _setting(
        None, "Run directory (default: runs/<dataset>-<arch>-<loss>).", identity=False
    )
    overwrite: bool = _setting(
        False, "Start afresh in a directory that holds a run.", identity=False
    )
    seed: int = _setting(0, "Every random draw of the run follows from it.", _SEED)
    fid_every: int = _setting(
        1, "Epochs from one Frechet distance to the next; 0: none.", _COUNT_OR_NONE
    )
    tensorboard: bool = _setting(False, "Write TensorBoard logs to logs/.", identity=False)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            limits = field.metadata["limits"]
            if limits and value is not None and not limits[0](value):
                raise InputError(f"--{field.name}={value}: expected {limits[1]}.")
        try:
            LOSSES[self.loss](label_smoothing=self.label_smoothing)
        except ValueError as error:
            raise InputError(f"--loss={self.loss}: {error}") from error

    def resolve(self, num_images):
        """This configuration with nothing of the training left open.

        Args:
            num_images: how many there are to train on.

        Raises:
            InputError: if a batch holds more.
        """
        architecture = ARCHITECTURES[self.arch]
        defaults = {
            field.name: getattr(architecture, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) is None and hasattr(architecture, field.name)
        }
        if self.spectral_norm is None:
            needed = self.loss in architecture.spectral_norm_for
            defaults["spectral_norm"] = needed and self.penalty is None
        spectral_norm = defaults.get("spectral_norm", self.spectral_norm)
        if self.loss == "wasserstein" and self.penalty is None:
            # R1 would not hold a critic away from the real images.
            held = spectral_norm or self.weight_clip
            defaults["penalty"] = "none" if held else "wgan_gp"
        penalty = defaults.get("penalty", self.penalty)
        if penalty == "none" and self.penalty_weight is not None:
            raise InputError(
                f"--penalty_weight={self.penalty_weight}: expected a --penalty beside it."
            )
        if penalty != "none" and self.penalty_weight is None:
            defaults["penalty_weight"] = PENALTIES[penalty]().weight
        if self.weight_clip is None:
            # A critic that nothing holds runs away.
            bare = penalty == "none" and not spectral_norm
            defaults["weight_clip"] = 0.01 if self.loss == "wasserstein" and bare else 0.0
        config = dataclasses.replace(self, **defaults)
        if config.batch_size > num_images:
            raise InputError(
                f"--batch_size={config.batch_size}: expected at most the number of images, "
                f"{num_images}."
            )
        if config.steps_per_epoch is None:
            steps = max(1, num_images // (config.batch_size * config.d_steps))
            if steps > STEPS_PER_EXECUTION:
                steps -= steps % STEPS_PER_EXECUTION  # the images left over open the next epoch
            config = dataclasses.replace(config, steps_per_epoch=steps)
        return config

    def differences(self, settings):
        """Flags in which a run with `settings`, a dict from `config.json`, was another one."""
        return [
            f"--{field.name}={settings.get(field.name)}"
            for field in dataclasses.fields(self)
            if field.metadata["identity"] and settings.get(field.name) != getattr(self, field.name)
        ]


def read_record(path):
    """The content of a `config.json`: the dicts `settings`, `dataset` and `versions`.

    Raises:
        InputError: if it is not one.
    """
    try:
        record = json.loads(path.read_text())
        if not all(isinstance(record[key], dict) for key in ("settings", "dataset", "versions")):
            raise ValueError("settings, dataset and versions are not all there")
        return record
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: not a run's configuration ({error}): restore it, or choose another "
            "--model_dir."
        ) from error


def versions():
    """What a record says of the software it was made with."""
    packages = ("keras", "tensorflow", "numpy")
    return {
        "keras_gan": keras_gan.__version__,
        **{name: importlib.metadata.version(name) for name in packages},
        "python": platform.python_version(),
    }


def write_record(path, record):
    """Writes a dict as JSON, atomically."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(record, indent=2) + "\n")
    os.replace(temporary, path)
