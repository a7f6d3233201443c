"""Which losses train with which regularisers? Classes of digits after 500 steps.

python -m benchmarks.combinations [ARCH ...]

A cell is how many of MNIST's ten classes are among 1,000 samples after 500 steps with the other
settings at their defaults (`modes` of `keras_gan.evaluate`), and their Frechet distance. The
results are in docs/benchmarks.md.
"""

import sys

from benchmarks.common import build, markdown
from keras_gan import data
from keras_gan.backend import configure_tensorflow, keras
from keras_gan.losses import LOSSES
from keras_gan.networks import ARCHITECTURES
from keras_gan.penalties import PENALTIES

REGULARIZERS = {
    "none": {"penalty": "none"},
    "spectral_norm": {"spectral_norm": True},
    **{name: {"penalty": name} for name in PENALTIES},
}


def outcome(images, reference, settings):
    from keras_gan.evaluation import Samples, evaluate

    keras.backend.clear_session()
    gan, images, config = build(images, settings | {"steps_per_epoch": 500})
    gan.fit(data.batches(images, config.batch_size), steps_per_epoch=500, verbose=0, shuffle=False)
    try:
        scores = evaluate(Samples(gan.generate(1000)), reference, ["modes", "fid"])
    except ValueError as error:
        return f"{error}"
    shown = f"{scores['modes']} ({scores['fid']:.2g})"
    return shown if scores["modes"] >= 9 else f"**{shown}**"


def main(names):
    from keras_gan.evaluation import Reference, Samples

    configure_tensorflow()
    images = data.load("mnist").images
    reference = Reference(Samples(images))
    for arch in names:
        rows = []
        for loss in LOSSES:
            print(arch, loss, file=sys.stderr)
            common = {"arch": arch, "loss": loss}
            rows.append({arch: loss})
            for name, settings in REGULARIZERS.items():
                rows[-1][name] = outcome(images, reference, common | settings)
        print(markdown(rows))


if __name__ == "__main__":
    main(sys.argv[1:] or list(ARCHITECTURES))
