"""What the replicas of a `tf.distribute` strategy know of each other.

Each replica has a part of the batch. Together they compute what one device would with all of it,
but for dropout and a penalty on a part of the batch: docs/devices.md.
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


def uniform(images, shape, seed, low=0, high=1, dtype=None):
    """Uniform numbers [n, *shape] in [low, high) for n images: the `rows` of this replica."""

    def draw(count):
        return tf.random.stateless_uniform([count, *shape], seed, low, high, dtype or images.dtype)

    return rows(draw, tf.shape(images)[0])


def mean(x):
    """The mean of a tensor's values over the replicas. Gradients go through it."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.MEAN, x)


def several_workers(strategy):
    """Whether a strategy is one of several processes."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy):
    """Whether this process is the one that writes files."""
    if not several_workers(strategy):
        return True
    resolver = strategy.cluster_resolver
    jobs = resolver.cluster_spec().jobs  # none if TF_CONFIG names no worker: then it is alone
    first = "chief" if "chief" in jobs else "worker"
    return not jobs or (resolver.task_type, resolver.task_id) == (first, 0)


def of_chief(strategy, value=0.0):
    """The chief's number, in all processes: a float. Each waits until all have called it."""
    if not several_workers(strategy):
        return value
    mine = value if is_chief(strategy) else 0.0
    parts = strategy.run(lambda: tf.constant(mine, tf.float64))
    total = strategy.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
    return float(total) / len(strategy.experimental_local_results(parts))
