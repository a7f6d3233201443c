"""What the replicas of a `tf.distribute` strategy know of each other.

Each replica has a part of the batch. Together they compute what one device would with all of it.
"""

from keras_gan.backend import tf


def rows(draw, count):
    """This replica's `count` rows of `draw(n)`, a random draw for the n rows of the whole batch.

    So an image gets the same numbers whatever the number of replicas.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return draw(count)
    start = context.replica_id_in_sync_group * count
    return draw(count * context.num_replicas_in_sync)[start : start + count]


def mean(x):
    """The mean of a tensor's values over the replicas. Gradients go through it."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, x)
