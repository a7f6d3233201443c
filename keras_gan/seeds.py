"""The seeds of training and sampling: latents, penalties, dropout.

Draws are stateless: each follows from the model's seed, a stream and counters such as the step. So
nothing needs to be saved for a resumed training to draw what an uninterrupted one would have.
"""

import math

from keras_gan.backend import tf

# One stream for each purpose: equal counters in two streams give different draws.
TRAIN, TEST, LAYERS, SAMPLE, PENALTY = range(5)

CATEGORIES = 10


def categories(count, seed, number=CATEGORIES):
    """One of `number` categories for each of `count` latents, drawn evenly: int32 [count]."""
    seed = tf.random.experimental.stateless_fold_in(seed, 1)
    return tf.random.stateless_uniform([count], seed, maxval=number, dtype=tf.int32)


def categorical(shape, seed, category, number=CATEGORIES, scale=1.0):
    """Normal numbers, then `number` more for the categories int32 [n].

    Those are one-hot, then shifted to mean 0 and scaled to the standard deviation `scale`.
    """
    count, size = shape
    z = tf.random.stateless_normal([count, size - number], seed)
    one_hot = tf.one_hot(category, number) - 1 / number
    return tf.concat([z, scale * one_hot * number / math.sqrt(number - 1)], axis=1)


# (shape [n, latent_dim], seed) -> latents, each number of mean 0 and variance 1.
LATENTS = {
    "normal": lambda shape, seed: tf.random.stateless_normal(shape, seed),
    "uniform": lambda shape, seed: tf.random.stateless_uniform(
        shape, seed, -math.sqrt(3), math.sqrt(3)
    ),
    "categorical": lambda shape, seed: categorical(shape, seed, categories(shape[0], seed)),
}


def fold(seed, stream, *counters):
    """A seed int32 [2] for one stateless draw: a different one for each stream and counters."""
    seed = tf.stack([tf.cast(seed, tf.int32), 0])
    for counter in (stream, *counters):
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(counter, tf.int32))
    return seed


def seed_layers(networks, seed, *counters):
    """Sets the state of every random layer (dropout, noise) of the networks.

    Keras keeps this state in `variables` and not in `weights`, so no checkpoint contains it.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync > 1:
        counters += (context.replica_id_in_sync_group,)
    weights = {id(weight) for network in networks for weight in network.weights}
    variables = [variable for network in networks for variable in network.variables]
    states = (variable for variable in variables if id(variable) not in weights)
    for i, state in enumerate(states):
        state.assign(tf.cast(fold(seed, LAYERS, *counters, i), state.dtype))
