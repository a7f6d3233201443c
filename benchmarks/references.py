"""The networks that most people start from, rebuilt from their published settings.

Their authors' images are in [0, 1] or [-1, 1]: a rescaling at either end makes that [-1, 1]. They
train by `keras_gan.GAN`, so that the comparison is one of networks and settings.
"""

import functools

import keras_gan
from keras_gan.backend import keras
from keras_gan.losses import NonSaturating


class NoisyLabels(NonSaturating):
    """Uniform noise below 0.05 on D's labels, which are 0 for real images and 1 for others.

    As published it is added to both: the target of a generated image lies beyond 1.
    """

    def discriminator(self, real_logits, fake_logits):
        ops = keras.ops
        noise = keras.random.uniform(ops.shape(real_logits), 0, 0.05)
        real = ops.softplus(-real_logits) + noise * real_logits
        noise = keras.random.uniform(ops.shape(fake_logits), 0, 0.05)
        fake = ops.softplus(fake_logits) + noise * fake_logits
        return (ops.mean(real) + ops.mean(fake)) / 2  # one mean over all labels


def compiled(generator, discriminator, rate, loss, seed, beta_1=0.9, **options):
    """A GAN of two lists of layers, made after `set_random_seed`."""
    gan = keras_gan.GAN(keras.Sequential(generator), keras.Sequential(discriminator), seed=seed)
    optimizers = (keras.optimizers.Adam(rate, beta_1) for _ in range(2))
    gan.compile(*optimizers, loss, steps_per_execution=4, **options)
    return gan


def keras_example(seed):
    """(GAN, batch size) of keras.io/guides/custom_train_step_in_tensorflow, its last example."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers

    def leaky(layer):
        return [layer, layers.LeakyReLU(0.2)]

    generator = [
        keras.Input([128]),
        *leaky(layers.Dense(7 * 7 * 128)),
        layers.Reshape([7, 7, 128]),
        *leaky(layers.Conv2DTranspose(128, 4, 2, padding="same")),
        *leaky(layers.Conv2DTranspose(128, 4, 2, padding="same")),
        layers.Conv2D(1, 7, padding="same", activation="sigmoid"),
        layers.Rescaling(2.0, -1.0),
    ]
    discriminator = [
        keras.Input([28, 28, 1]),
        layers.Rescaling(0.5, 0.5),
        *leaky(layers.Conv2D(64, 3, 2, padding="same")),
        *leaky(layers.Conv2D(128, 3, 2, padding="same")),
        layers.GlobalMaxPooling2D(),
        layers.Dense(1),
    ]
    return compiled(generator, discriminator, 3e-4, NoisyLabels(), seed), 64


def tensorflow_tutorial(seed):
    """(GAN, batch size) of tensorflow.org/tutorials/generative/dcgan."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    up = functools.partial(layers.Conv2DTranspose, kernel_size=5, padding="same", use_bias=False)

    def normalised(layer):
        return [layer, layers.BatchNormalization(), layers.LeakyReLU(0.3)]

    def down(channels):
        convolution = layers.Conv2D(channels, 5, 2, padding="same")
        return [convolution, layers.LeakyReLU(0.3), layers.Dropout(0.3)]

    generator = [
        keras.Input([100]),
        *normalised(layers.Dense(7 * 7 * 256, use_bias=False)),
        layers.Reshape([7, 7, 256]),
        *normalised(up(128, strides=1)),
        *normalised(up(64, strides=2)),
        up(1, strides=2, activation="tanh"),
    ]
    convolutions = [*down(64), *down(128)]
    discriminator = [keras.Input([28, 28, 1]), *convolutions, layers.Flatten(), layers.Dense(1)]
    return compiled(generator, discriminator, 1e-4, "non_saturating", seed, simultaneous=True), 256


def pytorch_gan_lsgan(seed):
    """(GAN, batch size) of github.com/eriklindernoren/PyTorch-GAN, lsgan.py: images of 32 x 32."""
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    normal = keras.initializers.RandomNormal

    def convolution(channels, **kwargs):
        kwargs |= {"padding": "same", "kernel_initializer": normal(stddev=0.02)}
        return layers.Conv2D(channels, 3, **kwargs)

    def normalised(epsilon=0.8):  # PyTorch's momentum of 0.1 is 0.9 here
        return layers.BatchNormalization(
            momentum=0.9, epsilon=epsilon, gamma_initializer=normal(1.0, 0.02)
        )

    def dense(units):  # with PyTorch's initial kernel
        return layers.Dense(
            units, kernel_initializer=keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        )

    def up(channels):
        return [
            layers.UpSampling2D(2),
            convolution(channels),
            normalised(),
            layers.LeakyReLU(0.2),
        ]

    def down(channels):
        return [
            convolution(channels, strides=2),
            layers.LeakyReLU(0.2),
            layers.SpatialDropout2D(0.25),
        ]

    generator = [
        keras.Input([100]),
        dense(128 * 8 * 8),
        layers.Reshape([8, 8, 128]),
        normalised(1e-5),
        *up(128),
        *up(64),
        convolution(1, activation="tanh"),
    ]
    discriminator = [
        keras.Input([32, 32, 1]),
        *down(16),
        *down(32),
        normalised(),
        *down(64),
        normalised(),
        *down(128),
        layers.Flatten(),
        dense(1),
    ]
    options = {"beta_1": 0.5, "simultaneous": True}
    return compiled(generator, discriminator, 2e-4, "lsgan", seed, **options), 64
