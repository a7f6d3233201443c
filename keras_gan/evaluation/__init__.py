"""Scores of generated images.

reference = Reference(Samples(train_images), Samples(test_images))
evaluate(Samples(gan.generate(10_000)), reference, ["fid", "kid"])
evaluate_run("runs/mnist-dcgan-lsgan")
"""

from keras_gan.evaluation import scores
from keras_gan.evaluation.comparison import evaluate_images, evaluate_run
from keras_gan.evaluation.metrics import METRICS, VALIDATION, evaluate
from keras_gan.evaluation.network import FeatureNetwork, build_mnist_cnn, default_network
from keras_gan.evaluation.samples import PAIRS, Reference, Samples
from keras_gan.evaluation.scores import UnavailableError
