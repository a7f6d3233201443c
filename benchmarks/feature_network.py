"""Trains the feature network of the scores, `mnist-cnn-v1`, on MNIST's training half.

KERAS_GAN_DATA=/path/to/mnist.npz python benchmarks/feature_network.py

Takes about ten minutes on two cores and writes keras_gan/evaluation/mnist-cnn-v1.keras. It
prints the accuracy on the test half, which nothing else here has seen, and the SHA-256 that
keras_gan/evaluation/__init__.py must name. On the pinned versions the weights come out the same
to the last bit. Changed in any way it is another network, and needs another name.
"""

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from keras_gan import data  # noqa: E402
from keras_gan._lazy import keras, load_tensorflow, tf  # noqa: E402

PATH = ROOT / "keras_gan/evaluation/mnist-cnn-v1.keras"
EPOCHS = 24
BATCH_SIZE = 128


def build():
    """Images [n, 28, 28, 1] in [-1, 1] -> features [n, 384] and probabilities [n, 10].

    The features are the last convolution's input. Of its output, 82 % of the variance lies
    between the ten classes (of these, 49 %): a distance there would see little but the class.
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


def main():
    load_tensorflow()
    tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(0)
    train, test = data.load("mnist"), data.load("mnist", split="test")
    jitter = [
        keras.layers.RandomTranslation(0.08, 0.08, fill_mode="constant", fill_value=-1.0, seed=1),
        keras.layers.RandomRotation(0.03, fill_mode="constant", fill_value=-1.0, seed=2),
        keras.layers.RandomZoom(0.1, 0.1, fill_mode="constant", fill_value=-1.0, seed=3),
    ]

    def example(images, labels):
        images = tf.cast(images, tf.float32) / 127.5 - 1
        for layer in jitter:
            images = layer(images, training=True)
        return images, labels

    network = build()
    classifier = keras.Model(network.inputs, network.output["probabilities"])
    steps = len(train.images) // BATCH_SIZE
    rate = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * steps)
    classifier.compile(
        keras.optimizers.AdamW(rate, weight_decay=1e-3),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    examples = tf.data.Dataset.from_tensor_slices((train.images, train.labels))
    examples = examples.shuffle(len(train.images), seed=0).batch(BATCH_SIZE, drop_remainder=True)
    examples = examples.map(example, num_parallel_calls=2).prefetch(4)
    classifier.fit(examples, epochs=EPOCHS, verbose=2)
    network.save(PATH)

    found = classifier.predict(test.images / 127.5 - 1, verbose=0).argmax(axis=1)
    digest = hashlib.sha256(PATH.read_bytes()).hexdigest()
    print(f"accuracy on the test half: {(found == test.labels).mean():.4f}")
    print(f"{PATH.name}: {PATH.stat().st_size} bytes, SHA-256 {digest}")


if __name__ == "__main__":
    main()
