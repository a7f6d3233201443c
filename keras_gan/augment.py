"""Differentiable augmentation (DiffAugment, Zhao et al. 2020), for few images.

Before D sees an image, real or generated, it is changed at random. So D can't learn the few real
images by heart. Real and generated images are changed alike, so G does not learn to draw the
changes. G's gradient goes through them.
"""

from keras_gan import replicas
from keras_gan.backend import tf


def _uniform(images, seed, i, low, high, dtype=None):
    """One number for each image, [n, 1, 1, 1]; `i` tells the draws of a function apart."""
    seed = tf.random.experimental.stateless_fold_in(seed, i)
    return replicas.uniform(images, [1, 1, 1], seed, low, high, dtype)


def color(images, seed):
    """Brightness, up to 0.5 more or less; saturation, 0 to 2 times; contrast, 0.5 to 1.5 times."""
    images += _uniform(images, seed, 0, -0.5, 0.5)
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * _uniform(images, seed, 1, 0, 2)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * _uniform(images, seed, 2, 0.5, 1.5)


def translation(images, seed):
    """Moves each image by up to an eighth of its height and width; 0 comes in at the edge."""
    for axis in (1, 2):
        size = images.shape[axis]
        most = (size + 4) // 8
        by = _uniform(images, seed, axis, -most, most + 1, tf.int32)[:, 0, 0]  # [n, 1]
        index = tf.clip_by_value(tf.range(size) + by + 1, 0, size + 1)  # 0, size + 1: the edges
        edges = [[1, 1] if i == axis else [0, 0] for i in range(4)]
        images = tf.gather(tf.pad(images, edges), index, axis=axis, batch_dims=1)
    return images


def cutout(images, seed):
    """Sets a rectangle of half the height and width to 0, its centre anywhere in the image."""
    inside = True
    for axis in (1, 2):
        size = images.shape[axis]
        half = (size + 2) // 4
        center = _uniform(images, seed, axis, 0, size + 1, tf.int32)
        position = tf.reshape(tf.range(size), [size if i == axis else 1 for i in range(4)])
        inside &= (position >= center - half) & (position < center + half)
    return tf.where(inside, tf.zeros([], images.dtype), images)


# name -> a function of images [n, H, W, C] in [-1, 1] and a seed int32 [2].
AUGMENTATIONS = {"color": color, "translation": translation, "cutout": cutout}
