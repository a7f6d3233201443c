"""Trains the feature network of the scores, `mnist-cnn-v1`, on MNIST's training half.

python -m benchmarks.feature_network

Takes about ten minutes on two cores. Prints the accuracy on the test half, and the SHA-256 that
keras_gan/evaluation/network.py must name. A network with other weights needs another name.
"""

import hashlib

import numpy as np

from keras_gan import data
from keras_gan.backend import keras, tf
from keras_gan.evaluation.network import NETWORK, build_mnist_cnn

EPOCHS = 24
BATCH_SIZE = 128


def main():
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

    network = build_mnist_cnn()
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
    np.savez(NETWORK, *network.get_weights())

    found = classifier.predict(test.images / 127.5 - 1, verbose=0).argmax(axis=1)
    print(f"accuracy on the test half: {(found == test.labels).mean():.4f}")
    print(f"{NETWORK.name}: SHA-256 {hashlib.sha256(NETWORK.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
