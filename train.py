"""Trains a GAN and leaves a run directory: samples, curves, checkpoints and a SavedModel.

python train.py --arch=dcgan --loss=lsgan

The same command resumes a run that was interrupted.
"""

import dataclasses
import typing

from absl import flags

from keras_gan import commands, training
from keras_gan.config import Config
from keras_gan.networks import ARCHITECTURES

DEFINE = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}


def define_flags():
    for field in dataclasses.fields(Config):
        text, choices = field.metadata["help"], field.metadata["choices"]
        values = {name: getattr(a, field.name, None) for name, a in ARCHITECTURES.items()}
        # The default of `penalty` depends on the loss, too, that of `augment` on the images.
        open_still = field.default is None and field.name not in ("penalty", "augment")
        if open_still and None not in values.values():
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            text += f" (default at 28 x 28: {listed})"
        kind = next(iter(typing.get_args(field.type)), field.type)  # int | None -> int
        if choices:
            flags.DEFINE_enum(field.name, field.default, choices, text)
        else:
            DEFINE.get(kind, flags.DEFINE_string)(field.name, field.default, text)


def main():
    values = {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(Config)}
    training.run(Config(**values), on_checked=commands.import_tensorflow_quietly)


if __name__ == "__main__":
    define_flags()
    commands.start(main)
