"""`Config`: every setting of a training, with its default, its help text and its limits."""

import dataclasses
import functools
import math

from keras_gan import InputError
from keras_gan.augment import AUGMENTATIONS
from keras_gan.data import DATASETS, pictures
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES, OPTIMIZERS
from keras_gan.penalties import PENALTIES
from keras_gan.seeds import CATEGORIES, LATENTS

# Keras runs up to this many steps per call: one at a time costs up to a tenth of the speed.
STEPS_PER_EXECUTION = 8

# What regularises the discriminator, and the values that turn it off.
NO_REGULARIZERS = {"penalty": "none", "spectral_norm": False, "weight_clip": 0.0}


def _at_least(low, at_most=2**31 - 1):
    return (lambda value: low <= value <= at_most, f"{low} <= value <= {at_most}")


_POSITIVE = (lambda value: 0 < value < math.inf, "a positive number")
_SIZE = (lambda value: 0 <= value < math.inf, "0 or a positive number")
_SHARE = (lambda value: 0 <= value < 1, "0 <= value < 1")


def _some_of(names):
    expected = f"none, or some of {','.join(names)}"
    return (lambda value: value == "none" or set(value.split(",")) <= set(names), expected)


def _setting(default, help, limits=None, choices=None, identity=True):
    """A field. Changing it makes a different run: it belongs to the run's identity."""
    if choices:
        limits = (lambda value: value in choices, f"one of {', '.join(choices)}")
    metadata = {"help": help, "limits": limits, "choices": choices, "identity": identity}
    return dataclasses.field(default=default, metadata=metadata)


# A field that may change when a run is resumed.
_option = functools.partial(_setting, identity=False)
_DEFAULTS = {name: penalty() for name, penalty in PENALTIES.items()} | {
    f"{name} with {arch}": penalty
    for arch, architecture in ARCHITECTURES.items()
    for name, penalty in architecture.penalties.items()
}
_WEIGHTS = ", ".join(f"{name} {penalty.weight:g}" for name, penalty in _DEFAULTS.items())


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of `python train.py`, a field for each flag; an InputError if one is wrong.

    The default of a field that is None depends on others: see `resolve`.
    """

    arch: str = _setting("dcgan", "Architecture of both networks.", choices=tuple(ARCHITECTURES))
    loss: str = _setting("lsgan", "Adversarial loss.", choices=tuple(LOSSES))
    # The SHA-256 of the pixels tells other data, not `dataset` and the options of pictures.
    dataset: str = _option("auto", "auto: data_path, MNIST or synthetic.", choices=tuple(DATASETS))
    data_path: str | None = _option(
        None, "A folder or .zip of pictures, a .npz, a .npy, or a folder with MNIST's IDX files."
    )
    image_size: str | None = _option(
        None, "Scale and crop pictures: 64, or 64x48 for 64 rows of 48 pixels."
    )
    background: str = _option("white", "The colour behind transparent pictures.")
    cache_dir: str | None = _option(
        None, "Where decoded pictures are kept (default: keras_gan in Keras' home)."
    )
    mirror: bool = _setting(False, "Flip half of the images left to right, at random.")
    augment: str | None = _setting(
        None,
        "Change images before D sees them: color,translation,cutout or some of it. By default all "
        "three for fewer than 5,000 colour images, else none.",
        _some_of(AUGMENTATIONS),
    )
    num_images: int | None = _setting(
        None, "Use only the first N images (default: all; maxout: at most 50000).", _at_least(1)
    )
    epochs: int | None = _option(None, "Train up to this epoch.", _at_least(1))
    steps_per_epoch: int | None = _setting(
        None, "Generator updates per epoch (default: once through the images).", _at_least(1)
    )
    batch_size: int | None = _setting(None, "Images per discriminator update.", _at_least(1))
    latent_dim: int | None = _setting(
        None, "Size of the latent vector.", _at_least(1, at_most=65_536)
    )
    conditional: bool = _setting(False, "Learn to draw a class that is asked for, from labels.")
    channels: int | None = _setting(
        None,
        "Channels of the layers next to the image; further in they double, up to 256. Only dcgan "
        "has them (default: 32).",
        _at_least(1, at_most=4096),
    )
    latent: str | None = _setting(
        None,
        "Distribution of the latents; categorical: the last ten numbers are one of ten categories.",
        choices=tuple(LATENTS),
    )
    d_steps: int = _setting(
        1, "k of Algorithm 1: discriminator updates per step.", _at_least(1, at_most=100)
    )
    simultaneous: bool | None = _setting(None, "Both gradients from one forward pass.")
    optimizer: str | None = _setting(
        None,
        "Optimiser of both networks. muon is for convolutions; all other weights then have adam.",
        choices=tuple(OPTIMIZERS),
    )
    g_lr: float | None = _setting(None, "Learning rate of the generator.", _POSITIVE)
    d_lr: float | None = _setting(None, "Learning rate of the discriminator.", _POSITIVE)
    decay_steps: int | None = _setting(
        None, "The learning rates fall as 1 / (1 + step / N); 0: they do not.", _at_least(0)
    )
    penalty: str | None = _setting(
        None,
        "Gradient penalty of the discriminator. If none of penalty, spectral_norm and weight_clip "
        "is given, they follow from arch and loss; otherwise those not given are off.",
        choices=("none", *PENALTIES),
    )
    penalty_weight: float | None = _setting(
        None, f"Weight of the penalty (default at 28 x 28: {_WEIGHTS}).", _POSITIVE
    )
    spectral_norm: bool | None = _setting(None, "Spectral normalisation in D. See penalty.")
    weight_clip: float | None = _setting(
        None, "Clip D's kernels to [-c, c]; 0: off. See penalty.", _SIZE
    )
    label_smoothing: float = _setting(
        0.0,
        "One-sided: move D's target for real images this share of the way to that for fakes.",
        _SHARE,
    )
    ema_decay: float | None = _setting(
        None, "Sample from a moving average of the generator's weights; 0: off.", _SHARE
    )
    precision: str = _setting(
        "float32",
        "Number format of the layers' arithmetic. Weights, losses and images stay float32.",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    strategy: str | None = _option(
        None,
        "mirrored: each GPU computes a part of every batch (default: if there are several GPUs); "
        "multi_worker: each of the processes that TF_CONFIG names.",
        choices=("none", "mirrored", "multi_worker"),
    )
    jit_compile: bool | None = _option(None, "Use XLA (default: on a GPU).")
    steps_per_execution: int | None = _option(
        None, "Steps per call of the compiled graph, at most (default: 8).", _at_least(1)
    )
    max_minutes: float | None = _option(
        None, "Finish after so many minutes of training, all sessions together.", _POSITIVE
    )
    save_minutes: float = _option(
        5.0, "Save within an epoch, too, if the last state is older than this.", _POSITIVE
    )
    model_dir: str | None = _option(
        None, "Run directory (default: runs/<dataset>-<arch>-<loss>[-conditional])."
    )
    init_from: str | None = _setting(
        None, "Begin with the weights of this run directory, of the same arch."
    )
    overwrite: bool = _option(False, "Delete the run in the directory, and start again.")
    seed: int = _setting(0, "Seed of every random draw of the run.", _at_least(0))
    fid_every: int = _setting(
        1, "Measure fid (swd at other sizes than 28 x 28) every N epochs; 0: never.", _at_least(0)
    )
    tensorboard: bool = _option(False, "Write TensorBoard logs to logs/.")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            limits = field.metadata["limits"]
            if limits and value is not None and not limits[0](value):
                raise InputError(f"--{field.name}={value}: expected {limits[1]}.")
        pictures.parse_color(self.background)
        if self.image_size:
            pictures.parse_size(self.image_size)
        try:
            LOSSES[self.loss](label_smoothing=self.label_smoothing)
        except ValueError as error:
            raise InputError(f"--loss={self.loss}: {error}") from error

    def resolve(self, available, architecture=None, classes=None):
        """The configuration with every default filled in; `available` is the number of images.

        `classes` is their number of classes, or None if they have no labels.

        If none of `penalty`, `spectral_norm` and `weight_clip` is given, they are what the loss
        needs, else the architecture's penalty. If one is given, those not given are off. Other
        defaults are those of the `Architecture`, by default the one that `arch` names.

        Raises:
            InputError: if there are too few images, a `penalty_weight` has no penalty, the
                architecture has no channels, or `conditional` no labels.
        """
        architecture = architecture or ARCHITECTURES[self.arch]
        num_images = min(available, architecture.num_images or available)
        config = self._with_defaults(self._regularizers(architecture))
        if self.conditional:
            config = config._with_defaults(_conditional(architecture, self.latent, classes))
        config = config._with_defaults(vars(architecture) | {"num_images": num_images})
        if config.penalty != "none":
            default = architecture.default_penalty(config.penalty)
            config = config._with_defaults({"penalty_weight": default.weight})
        elif config.penalty_weight is not None:
            weight = config.penalty_weight
            raise InputError(f"--penalty_weight={weight}: expected together with a --penalty.")
        if config.channels and not architecture.channels:
            raise InputError(f"--channels={config.channels}: --arch={config.arch} has no channels.")
        steps = max(1, config.num_images // (config.batch_size * config.d_steps))
        if steps > 4:
            steps -= steps % 4  # several per call; the next epoch begins with the images left over
        config = config._with_defaults({"steps_per_epoch": steps})
        for name, limit in (("num_images", available), ("batch_size", config.num_images)):
            if getattr(config, name) > limit:
                given = f"--{name}={getattr(config, name)}"
                raise InputError(f"{given}: expected at most the number of images, {limit}.")
        return config

    def _regularizers(self, architecture):
        """The defaults of `penalty`, `spectral_norm` and `weight_clip`."""
        if any(getattr(self, name) is not None for name in NO_REGULARIZERS):
            return NO_REGULARIZERS
        by_loss = LOSSES[self.loss].regularizers
        return NO_REGULARIZERS | (by_loss or {"penalty": architecture.penalty})

    def _with_defaults(self, defaults):
        """A copy with `defaults` in the fields that are None; other names are ignored."""
        names = [field.name for field in dataclasses.fields(self) if field.name in defaults]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return dataclasses.replace(self, **{name: defaults[name] for name in names} | given)

    @classmethod
    def of_record(cls, settings):
        """The configuration that a run has recorded; `settings` is a dict."""
        names = {field.name for field in dataclasses.fields(cls)}
        known = {name: value for name, value in settings.items() if name in names}
        try:
            return cls(**_older(settings) | known)
        except (TypeError, AttributeError) as error:  # a text for a number, or the other way round
            raise InputError(f"The settings of a run are damaged: {error}.") from error

    def differences(self, settings):
        """The flags, with recorded values, that differ from a run's `settings`, a dict."""
        fields = [field for field in dataclasses.fields(self) if field.metadata["identity"]]
        # What an older version did not record could not be chosen yet.
        older = {field.name: field.default for field in fields if field.default is not None}
        settings = older | _older(settings) | settings
        recorded = {f.name: settings[f.name] for f in fields if f.name in settings}
        return [f"--{n}={value}" for n, value in recorded.items() if value != getattr(self, n)]


def _older(settings):
    """What a run of an older version had, whose `settings` do not name it."""
    maxout = settings.get("arch") == "maxout"
    return {
        "latent": "uniform" if maxout else "normal",
        "optimizer": "goodfellow_sgd" if maxout else "adam",
        "decay_steps": 0,
        "augment": "none",
    }


def _conditional(architecture, latent, classes):
    """The defaults of the latents: normal numbers, and one for each class."""
    if classes is None or classes < 2:
        raise InputError("--conditional: the images have no labels 0, 1, 2, ... (two or more).")
    if latent not in (None, "categorical"):
        raise InputError(f"--latent={latent}: expected categorical with --conditional.")
    normal = architecture.latent_dim - CATEGORIES * (architecture.latent == "categorical")
    normal = architecture.conditional_dim or normal
    return {"latent": "categorical", "latent_dim": normal + classes}
