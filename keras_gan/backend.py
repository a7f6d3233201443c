"""`keras` and `tf`, imported at first use, and TensorFlow's set-up for training.

Modules that `train.py --help` needs import both from here: the names in LOSSES, ARCHITECTURES and
DATASETS must not wait seconds for TensorFlow.
"""

import contextlib
import importlib
import json
import os

from keras_gan import InputError


class _Lazy:
    def __init__(self, name):
        self._name = name

    def __getattr__(self, attribute):
        return getattr(importlib.import_module(self._name), attribute)


keras = _Lazy("keras")
tf = _Lazy("tensorflow")


@contextlib.contextmanager
def dtype_policy(name):
    """Layers made in this context have the Keras dtype policy of this name."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def strategy(name=None):
    """The `tf.distribute.Strategy` of a name of `--strategy`.

    "mirrored" has a replica on each GPU, or without any on each logical CPU device; "none" has one.
    "multi_worker" is one over several processes, which the environment variable TF_CONFIG names,
    or those of SLURM. None: mirrored if there are several GPUs.
    """
    if name == "multi_worker":
        try:
            if "TF_CONFIG" not in os.environ:
                os.environ["TF_CONFIG"] = json.dumps(_slurm_tasks())
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, RuntimeError) as error:
            expected = f"expected the workers in TF_CONFIG, see docs/devices.md ({error})"
            raise InputError(f"--strategy=multi_worker: {expected}.") from error
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name is None and len(gpus) > 1):
        devices = gpus or tf.config.list_logical_devices("CPU")
        if len(devices) > 1:  # a strategy of one replica would cost a sixth of the speed
            return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


def _slurm_tasks():
    """What TF_CONFIG holds, of the tasks of this SLURM step."""
    # TensorFlow's resolver fails on a node without GPUs. Which GPUs a task sees is SLURM's to say,
    # so it is told of one for each task, and sets none.
    gpus = {"gpus_per_node": 2**16, "gpus_per_task": 1, "auto_set_gpu": False}
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(**gpus)
    cluster = resolver.cluster_spec().as_dict()
    return {"cluster": cluster, "task": {"type": resolver.task_type, "index": resolver.task_id}}


def configure_tensorflow(deterministic=True):
    """Sets TensorFlow up for training; call it before TensorFlow computes anything.

    An operation gets half the cores, unless TF_NUM_INTRAOP_THREADS says otherwise. Without a GPU,
    operations are deterministic: equal runs end with equal bits. XLA can't be used then.
    """
    # D on real and D on generated images do not depend on each other. Side by side, on half the
    # cores each, they train up to 30 % faster than one after the other (docs/benchmarks.md).
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, cores // 2)))
    # On a CPU this costs nothing that we could measure. On a GPU it would turn XLA off: there it
    # is the user's choice, by TF_DETERMINISTIC_OPS=1.
    if deterministic and not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
        tf.random.set_seed(0)  # without one, `fit` could not shuffle an array any more
