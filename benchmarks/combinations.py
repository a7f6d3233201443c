"""Does every loss train with every penalty and architecture? Kinds of digits after 500 steps.

python benchmarks/combinations.py [ARCH ...]

A cell is how many of MNIST's ten classes are among 1,000 samples after 500 steps with
the other settings at their defaults (`modes` of `keras_gan.evaluate`), and the Frechet distance.
The result stands in benchmarks/combinations.md.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from keras_gan import data, training  # noqa: E402
from keras_gan._lazy import keras  # noqa: E402
from keras_gan.config import Config  # noqa: E402
from keras_gan.losses import LOSSES  # noqa: E402
from keras_gan.networks import ARCHITECTURES  # noqa: E402
from keras_gan.penalties import PENALTIES  # noqa: E402

CONSTRAINTS = {
    "none": {"penalty": "none"},
    "spectral_norm": {"penalty": "none", "spectral_norm": True},
    **{name: {"penalty": name} for name in PENALTIES},
}


def outcome(images, reference, **settings):
    from keras_gan.evaluation import Samples, evaluate

    config = Config(**settings, steps_per_epoch=500).resolve(len(images))
    gan = training.build(config, images)
    gan.fit(data.batches(images, config.batch_size), steps_per_epoch=500, verbose=0, shuffle=False)
    try:
        scores = evaluate(Samples(gan.generate(1000)), reference, ["modes", "fid"])
    except ValueError as error:
        return f"{error}"
    shown = f"{scores['modes']} ({scores['fid']:.2g})"
    return shown if scores["modes"] >= 9 else f"**{shown}**"


def main(names):
    training.start_tensorflow()
    from keras_gan.evaluation import Reference, Samples

    images = data.load("mnist").images
    reference = Reference(Samples(images))
    for arch in names:
        print(f"\n| {arch} | {' | '.join(CONSTRAINTS)} |\n|{'---|' * (len(CONSTRAINTS) + 1)}")
        for loss in LOSSES:
            cells = []
            for settings in CONSTRAINTS.values():
                keras.backend.clear_session()
                cells.append(outcome(images, reference, arch=arch, loss=loss, **settings))
            print(f"| {loss} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ARCHITECTURES)
