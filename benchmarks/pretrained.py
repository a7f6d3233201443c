"""Makes keras_gan/pretrained/mnist, the generator that comes with the package, from a run.

python train.py --conditional --latent_dim=106 --optimizer=adam --decay_steps=7500 --epochs=24 \
    --fid_every=4 --model_dir=runs/pretrained
python -m benchmarks.pretrained runs/pretrained
python -m keras_gan.evaluate --model_dir=keras_gan/pretrained/mnist

Its weights are kept with half the bits, and it has no discriminator: it must stay below 1 MB.
"""

import shutil
import sys

from keras_gan import GAN, files, training
from keras_gan.backend import keras, tf
from keras_gan.export import PRETRAINED
from keras_gan.run_directory import RunDirectory


class Half(keras.layers.Layer):
    """A network with weights of float16 that computes in float32."""

    def __init__(self, network):
        super().__init__()
        self.built = True
        self.halves = [
            tf.Variable(tf.cast(w, tf.float16), trainable=False) for w in network.weights
        ]
        trained = len(network.trainable_weights)
        apply = network.stateless_call

        def call(z):
            weights = [tf.cast(half, tf.float32) for half in self.halves]
            return apply(weights[:trained], weights[trained:], z, training=False)[0]

        self.apply = call  # a function: the network's own weights are not saved

    def call(self, z):
        return self.apply(z)


def main(directory):
    run, folder = RunDirectory(directory), PRETRAINED["mnist"]
    gan = training.load(directory)
    generator = keras.Sequential([keras.Input([gan.latent_dim]), Half(gan.sampler)])
    options = {"latent": gan.latent, "classes": gan.classes}
    files.remove(folder)
    folder.parent.mkdir(exist_ok=True)
    small = RunDirectory(folder.parent / "work")
    small.path.mkdir()
    small.export(GAN(generator, gan.discriminator, **options), "last", run.exported_epoch("last"))
    small.exports["last"].rename(folder)
    small.path.rmdir()
    shutil.copy(run.config, folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
