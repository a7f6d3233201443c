"""Ways through the latents: from one to another, around a loop, and to the one of a given picture.

A generator here is a `GAN` or a `keras_gan.export.SavedGenerator`.
"""

import numpy as np

from keras_gan import InputError
from keras_gan.backend import keras, tf
from keras_gan.evaluation.network import default_network
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.images import in_parts

CANDIDATES = 2_000  # random latents; `project` starts from the nearest of them


def slerp(start, end, t):
    """Interpolates on great circles, which keeps the norms (White 2016, arXiv:1609.04468).

    Numbers that are the same in both latents stay as they are: those of a class.

    Args:
        start, end: latents [n, d].
        t: [steps], where on the way: 0 is `start`, 1 is `end`.

    Returns:
        float32 [n, steps, d].
    """
    start, end, t = (np.asarray(x, np.float64) for x in (start, end, t))
    same, t = (start == end)[:, None], t[:, None]
    unit = [_unit(np.where(start == end, 0, v)) for v in (start, end)]
    angle = np.arccos(np.clip((unit[0] * unit[1]).sum(axis=1), -1, 1))[:, None, None]
    # In a straight line where no great circle is the shortest: equal or opposite directions.
    sine = np.sin(angle)
    shares = [
        np.where(sine < 1e-6, s, np.sin(s * angle) / np.maximum(sine, 1e-6)) for s in (1 - t, t)
    ]
    way = shares[0] * start[:, None] + shares[1] * end[:, None]
    return np.where(same, start[:, None], way).astype(np.float32)


def _unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-12)


def loop(latents, steps):
    """A smooth walk through latents [n, d] and back to the first: float32 [n * steps, d].

    It takes `steps` latents from each one to the next, and slows down where it turns.
    """
    t = (1 - np.cos(np.pi * np.arange(steps) / steps)) / 2
    latents = np.asarray(latents)
    return slerp(latents, np.roll(latents, -1, axis=0), t).reshape(-1, latents.shape[1])


def project(generator, images, *, steps=300, learning_rate=0.1, seed=0, network=None):
    """Finds the latents whose pictures are nearest to given images, by gradient descent (Adam).

    What is compared are the pixels, and the features of a network if it takes such images: the
    sum of the mean squared differences, each divided by the variance over random samples. The
    descent begins at the nearest of 2,000 random latents. Nothing keeps it among the likely ones.

    Args:
        images: uint8 [n, H, W, C], as the generator draws them.
        network: a `FeatureNetwork`; the default is for digits of 28 x 28 x 1.

    Returns:
        Latents, float32 [n, d].

    Raises:
        InputError: if the generator draws images of another shape.
    """
    candidates = tf.convert_to_tensor(generator.latents(CANDIDATES, seed))
    shape = list(generator(candidates[:1]).shape[1:])
    if shape != list(images.shape[1:]):
        shapes = f"Images of shape {list(images.shape[1:])}, the model draws {shape}"
        raise InputError(f"{shapes}: expected the same.")
    network = network or default_network()
    try:
        network.check(images.shape[1:])
    except UnavailableError:
        network = None
    drawn = [_views(generator(z), network) for z in in_parts(np.asarray(candidates))]
    drawn = [tf.concat(views, axis=0) for views in zip(*drawn, strict=True)]
    variances = [tf.reduce_mean(tf.math.reduce_variance(view, axis=0)) for view in drawn]

    def distance(views, others):
        squares = (
            tf.reduce_mean((a - b) ** 2, axis=1) / variance
            for a, b, variance in zip(views, others, variances, strict=True)
        )
        return sum(squares)

    def descend(images):
        real = _views(tf.constant(images, tf.float32) / 127.5 - 1, network)
        first = [tf.argmin(distance(drawn, [v[i] for v in real])) for i in range(len(images))]
        z = keras.Variable(tf.gather(candidates, first), name="z")
        optimizer = keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(learning_rate, steps)
        )
        optimizer.build([z])

        @tf.function
        def step():
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(distance(_views(generator(z), network), real))
            optimizer.apply(tape.gradient(loss, [z]), [z])

        for _ in range(steps):
            step()
        return np.asarray(z)

    return np.concatenate([descend(part) for part in in_parts(images)])


def _views(images, network):
    """What `project` compares of images in [-1, 1]: their pixels, and features if any, [n, d]."""
    pixels = tf.reshape(images, [-1, np.prod(images.shape[1:])])
    return [pixels] if network is None else [pixels, network.apply(images)["features"]]
