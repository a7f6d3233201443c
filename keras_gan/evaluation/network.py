"""Feature networks: what the scores see of an image."""

import concurrent.futures
import functools
import hashlib
import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np

from keras_gan import InputError, files
from keras_gan.backend import dtype_policy, keras, tf
from keras_gan.evaluation.scores import UnavailableError
from keras_gan.images import in_parts

# The weights of `build_mnist_cnn`, trained on MNIST's training half by
# benchmarks/feature_network.py. Scores of different networks are not comparable: this one never
# changes, and a better one gets another name.
NETWORK = Path(__file__).parent / "mnist-cnn-v1.npz"
NETWORK_SHA256 = "c289fb3234b1c0a997886364e06e35707053b5e025c9d4de9f4206bb155a1515"


def build_mnist_cnn():
    """An untrained classifier: digits [n, 28, 28, 1] -> features [n, 384], probabilities [n, 10].

    The features are the averaged input of the last convolution. 49 % of their variance lies between
    the classes, of that layer's output 82 %: a distance there would measure little but the classes.
    """

    def block(x, filters, kernel_size, strides):
        x = keras.layers.Conv2D(filters, kernel_size, strides, padding="same", use_bias=False)(x)
        return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))

    images = keras.Input([28, 28, 1])
    x = block(images, 24, 5, 2)  # 14 x 14
    x = block(x, 48, 3, 1)
    x = block(x, 64, 3, 2)  # 7 x 7
    x = block(x, 96, 3, 2)  # 4 x 4
    features = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(x))
    x = keras.layers.GlobalAveragePooling2D()(block(x, 64, 3, 1))
    probabilities = keras.layers.Dense(10, "softmax")(x)
    return keras.Model(images, {"features": features, "probabilities": probabilities})


@functools.cache
def default_network():
    """`mnist-cnn-v1`, a `FeatureNetwork` for digits of 28 x 28 x 1."""
    if hashlib.sha256(NETWORK.read_bytes()).hexdigest() != NETWORK_SHA256:
        raise InputError(f"{NETWORK}: damaged: reinstall keras_gan.")
    with dtype_policy("float32"):
        model = build_mnist_cnn()
    with np.load(NETWORK) as arrays:
        model.set_weights([arrays[name] for name in arrays.files])
    # On the CPU: a GPU's rounding (TF32) would change the scores.
    return FeatureNetwork(model, NETWORK.stem, NETWORK_SHA256, device="CPU")


def inception_v3():
    """InceptionV3 with Keras' weights for ImageNet, a `FeatureNetwork` for images of any size.

    2,048 features, the averaged output of the last block, and 1,000 probabilities. It is the
    network of the published "FID", with other weights: these distances are not comparable.

    Raises:
        InputError: if the weights are neither in Keras' cache nor can be downloaded.
    """
    try:
        with dtype_policy("float32"):
            network = keras.applications.InceptionV3()
    except Exception as error:  # keras.utils.get_file raises a bare one
        reason = files.first_line(error)
        where = "the weights are not in Keras' cache, and the download failed"
        raise InputError(f"--feature_network=inception: {where}: {reason}.") from error
    images = keras.Input([None, None, 3])
    resized = keras.layers.Resizing(299, 299)(images)
    taps = keras.Model(network.input, [network.get_layer("avg_pool").output, network.output])
    features, probabilities = taps(resized)
    model = keras.Model(images, {"features": features, "probabilities": probabilities})
    return FeatureNetwork(model, "inception_v3")


def read_network(path):
    """The `FeatureNetwork` of a .keras file. Keras' safe mode stays on: no code of the file runs.

    "inception" is `inception_v3()`.

    Raises:
        InputError: if it can't be read, or announces more weights than it can hold.
    """
    if str(path) == "inception":
        return inception_v3()
    path = Path(path)
    try:
        files.check_zip(path)
        # In a thread, which ends with Keras' list of its variables that have no value yet.
        with concurrent.futures.ThreadPoolExecutor() as pool:
            files.require_room(path, pool.submit(_size_of_weights, path).result())
        model = keras.models.load_model(path, compile=False)
        return FeatureNetwork(model, path.stem, hashlib.sha256(path.read_bytes()).hexdigest())
    except InputError:
        raise
    except Exception as error:  # Keras raises all sorts for a damaged or hostile file
        raise InputError(f"{path}: not a Keras model: {files.first_line(error)}.") from error


def _size_of_weights(path):
    """The bytes that the weights of a .keras file announce, in its configuration and in HDF5."""
    import h5py  # here: `--help` does not wait for it

    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
        weights = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    sizes = []

    def weigh(_, item):  # Keras never writes chunks: one can be packed 1,000 times smaller
        sizes.append(math.inf if getattr(item, "chunks", None) else getattr(item, "nbytes", 0))

    weights.visititems(weigh)
    with keras.StatelessScope(initialize_variables=False):  # variables have shapes and no values
        model = keras.saving.deserialize_keras_object({**config, "compile_config": None})
    return sum(sizes) + sum(4 * math.prod(variable.shape) for variable in model.variables)


class FeatureNetwork:
    """Images -> features, and the probabilities of classes if the model has them.

    A model of one channel is applied to each channel of images with three: the features are
    concatenated, and a class is a combination of three, as in the 1,000 modes of stacked MNIST. A
    model of three channels gets grey images three times.

    Args:
        model: a Keras model, images float32 [n, H, W, C] in [-1, 1] -> features [n, d], or a
            dict of `features` and `probabilities` [n, classes].
        name, sha256: recorded with the scores.
        device: where it runs; by default TensorFlow's choice.
    """

    def __init__(self, model, name=None, sha256=None, device=None):
        self.name = name or model.name
        self.sha256 = sha256
        self.image_shape = getattr(model, "input_shape", (None,))[1:]
        if len(self.image_shape) != 3:
            raise InputError(f"{self.name}: expected a functional model of images [n, H, W, C].")

        @tf.function(input_signature=[tf.TensorSpec([None, *self.image_shape], tf.float32)])
        def apply(images):
            with tf.device(device):
                outputs = model(images, training=False)
            return outputs if isinstance(outputs, dict) else {"features": outputs}

        self._apply = apply

    def apply(self, images):
        """float32 [n, H, W, C] in [-1, 1] -> a dict of tensors, which can be differentiated."""
        channels = images.shape[-1]
        if (self.image_shape[-1], channels) == (3, 1):
            images = tf.repeat(images, 3, axis=-1)
        if self.image_shape[-1] != 1 or channels == 1:
            return self._apply(images)
        parts = [self._apply(images[..., c : c + 1]) for c in range(channels)]
        outputs = {"features": tf.concat([part["features"] for part in parts], axis=1)}
        if "probabilities" in parts[0]:
            probabilities = [part["probabilities"] for part in parts]
            outputs["probabilities"] = functools.reduce(_products, probabilities)
        return outputs

    def __call__(self, images):
        """uint8 [n, H, W, C] -> a dict of float32 arrays, n rows each."""
        try:
            parts = (part.astype(np.float32) / 127.5 - 1 for part in in_parts(images))
            batches = [self.apply(part) for part in parts]
            names = [name for name in ("features", "probabilities") if name in batches[0]]
            outputs = {name: np.concatenate([b[name] for b in batches]) for name in names}
            outputs = {name: values.astype(np.float32) for name, values in outputs.items()}
        except tf.errors.ResourceExhaustedError:
            raise
        except Exception as error:  # TensorFlow raises all sorts
            problem = f"fails on images of shape {list(images.shape[1:])}"
            raise InputError(f"{self.name}: {problem}: {files.first_line(error)}.") from error
        for name, values in {"features": np.zeros([]), **outputs}.items():
            if values.ndim != 2 or len(values) != len(images):
                raise InputError(f"{self.name}: {name} {list(values.shape)}, expected [n, d].")
            if not np.all(np.isfinite(values)):
                raise InputError(f"{self.name}: some {name} are not finite.")
        return outputs

    def check(self, shape):
        """Raises an UnavailableError if images can't have this shape (H, W, C)."""
        height, width, channels = self.image_shape
        fits = height in (None, shape[0]) and width in (None, shape[1])
        # See the class about a model of one channel, and about grey images.
        if not fits or (channels not in (None, 1, shape[2]) and (channels, shape[2]) != (3, 1)):
            expected, found = list(self.image_shape), list(shape)
            mismatch = f"{self.name} takes images of shape {expected}, these are {found}"
            raise UnavailableError(f"{mismatch}: give a feature network of your own.")


def _products(p, q):
    """[n, a] and [n, b] -> [n, a * b]: the probabilities of all combinations of two classes."""
    return tf.reshape(p[:, :, tf.newaxis] * q[:, tf.newaxis], [-1, p.shape[1] * q.shape[1]])
