"""Which losses train with which regularisers? The tables of docs/benchmarks.md.

python -m benchmarks.combinations [ARCH ...]
"""

import sys

from benchmarks.common import build, markdown, train
from keras_gan import data
from keras_gan.backend import configure_tensorflow, keras
from keras_gan.evaluation import Reference, Samples, evaluate
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

REGULARIZERS = {
    "none": {"penalty": "none"},
    "spectral_norm": {"spectral_norm": True},
    **{name: {"penalty": name} for name in PENALTIES},
}


def outcome(images, reference, settings):
    keras.backend.clear_session()
    gan, images, config = build(images, settings)
    list(train(gan, images, config.batch_size, [500]))
    try:
        scores = evaluate(Samples(gan.generate(1000)), reference, ["modes", "fid"])
    except ValueError as error:
        return f"{error}"
    shown = f"{scores['modes']} ({scores['fid']:.2g})"
    return shown if scores["modes"] >= 9 else f"**{shown}**"


def main(names):
    configure_tensorflow()
    images = data.load("mnist").images
    reference = Reference(Samples(images))
    for arch in names:
        rows = []
        for loss in LOSSES:
            print(arch, loss, file=sys.stderr)
            rows.append({arch: loss})
            for name, settings in REGULARIZERS.items():
                settings = {"arch": arch, "loss": loss} | settings
                rows[-1][name] = outcome(images, reference, settings)
        print(markdown(rows))


if __name__ == "__main__":
    main(sys.argv[1:] or list(ARCHITECTURES))
