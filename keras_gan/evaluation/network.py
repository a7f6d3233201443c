"""Feature networks: what the scores see of an image."""

import functools
import hashlib
from pathlib import Path

import numpy as np

from keras_gan import InputError
from keras_gan.backend import keras, tf

# The weights of `build_mnist_cnn`, trained on MNIST's training half by
# benchmarks/feature_network.py. Scores of different networks are not comparable: this one never
# changes, and a better one gets another name.
NETWORK = Path(__file__).parent / "mnist-cnn-v1.npz"
NETWORK_SHA256 = "c289fb3234b1c0a997886364e06e35707053b5e025c9d4de9f4206bb155a1515"


def build_mnist_cnn():
    """A classifier of digits, untrained: images [n, 28, 28, 1] in [-1, 1] -> a dict.

    Its `features` [n, 384] are the input of the last convolution, averaged over 2 x 2. Of the
    variance of that convolution's output, 82 % lies between the ten classes (of these features,
    49 %), so a distance there would measure little but the classes. `probabilities` are [n, 10].
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
    """`mnist-cnn-v1`, a `FeatureNetwork` for digits of 28 x 28 x 1.

    Raises:
        InputError: if its file is damaged.
    """
    if hashlib.sha256(NETWORK.read_bytes()).hexdigest() != NETWORK_SHA256:
        raise InputError(f"{NETWORK}: damaged: install keras_gan anew.")
    model = build_mnist_cnn()
    with np.load(NETWORK) as arrays:
        model.set_weights([arrays[name] for name in arrays.files])
    # On the CPU: a GPU's rounding (TF32) would change the scores.
    return FeatureNetwork(model, NETWORK.stem, device="CPU")


class FeatureNetwork:
    """Images -> features, and the probabilities of classes where the model has them.

    A model for images of one channel is applied to each channel of images with three. Their
    features are concatenated, and a class is a combination of the channels' classes, as in the
    1,000 modes of stacked MNIST.

    Args:
        model: a Keras model, images float32 [n, H, W, C] in [-1, 1] -> features [n, d], or a
            dict of `features` and `probabilities` [n, classes].
        name: recorded with the scores; by default the model's name.
        device: where it runs; by default TensorFlow's choice.

    Raises:
        InputError: if the model has other inputs or outputs.
    """

    def __init__(self, model, name=None, device=None):
        self.name = name or model.name
        self.image_shape = getattr(model, "input_shape", (None,))[1:]
        if len(self.image_shape) != 3:
            raise InputError(f"{self.name}: expected a functional model of images [n, H, W, C].")

        @tf.function(input_signature=[tf.TensorSpec([None, *self.image_shape], tf.float32)])
        def apply(images):
            with tf.device(device):
                outputs = model(images, training=False)
            return outputs if isinstance(outputs, dict) else {"features": outputs}

        self._apply = apply

    def __call__(self, images, batch_size=500):
        """uint8 [n, H, W, C] -> a dict of float32 arrays, n rows each."""
        if images.shape[-1] != self.image_shape[-1] == 1:
            channels = [self(images[..., c : c + 1]) for c in range(images.shape[-1])]
            outputs = {"features": np.concatenate([c["features"] for c in channels], axis=1)}
            if "probabilities" in channels[0]:
                outputs["probabilities"] = functools.reduce(
                    lambda p, q: (p[:, :, np.newaxis] * q[:, np.newaxis]).reshape(len(p), -1),
                    [c["probabilities"] for c in channels],
                )
            return outputs
        batches = [
            self._apply(images[i : i + batch_size].astype(np.float32) / 127.5 - 1)
            for i in range(0, len(images), batch_size)
        ]
        outputs = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
        features = outputs.get("features", np.zeros([]))
        if features.ndim != 2:
            raise InputError(f"{self.name}: features {list(features.shape)}, expected [n, d].")
        if not np.all(np.isfinite(features)):
            raise InputError(f"{self.name}: some features are not finite.")
        return outputs

    def takes(self, shape):
        """Whether images may have this shape (H, W, C)."""
        *size, channels = self.image_shape
        return all(a in (None, b) for a, b in zip(size, shape[:-1], strict=True)) and (
            channels in (None, 1, shape[-1])
        )
