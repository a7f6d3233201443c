"""`GAN`: a generator and a discriminator trained against each other by `model.fit`."""

import math

import keras
import numpy as np
import tensorflow as tf

from keras_gan import InputError
from keras_gan.losses import LOSSES, AdversarialLoss
from keras_gan.penalties import PENALTIES, GradientPenalty

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"keras_gan trains with TensorFlow, and Keras runs on {keras.backend.backend()}: "
        'set the environment variable KERAS_BACKEND to "tensorflow".'
    )

for _term in (*LOSSES.values(), *PENALTIES.values()):
    keras.saving.register_keras_serializable("keras_gan")(_term)

# Draws that share a seed come from streams that never meet.
_TRAIN, _TEST, _LAYERS, _SAMPLE, _PENALTY = range(5)

# Both have mean 0 and variance 1.
LATENTS = {
    "normal": tf.random.stateless_normal,
    "uniform": lambda shape, seed: tf.random.stateless_uniform(
        shape, seed, -math.sqrt(3), math.sqrt(3)
    ),
}


@keras.saving.register_keras_serializable("keras_gan")
class GAN(keras.Model):
    """Generative adversarial networks (Goodfellow et al. 2014), trained by Algorithm 1.

    Args:
        generator: a Sequential or functional Keras model, latents float32 [n, latent_dim] ->
            images float32 [n, H, W, C] in [-1, 1].
        discriminator: another one, images -> logits float32 [n, 1], no final activation.
        latent: the distribution of the latents, "normal" N(0, 1) or "uniform" on
            [-sqrt(3), sqrt(3)], both of variance 1.
        ema_decay: if given, in (0, 1): keep an exponential moving average of the
            generator's weights, used by `generate` and `export`.
        seed: an int32; noise and dropout of step t follow from (seed, t) alone, so that a
            resumed training sees what an uninterrupted one would have seen.

    Raises:
        ValueError: if a network is not built, the shapes do not fit together, or an
            option is out of range.

    `fit` and `evaluate` take batches of images, or tuples that begin with them, of the
    discriminator's input shape in [-1, 1]. They log `d_loss`, penalty included, `g_loss`,
    `d_real` = mean D(x) and `d_fake` = mean D(G(z)), the last two as probabilities.
    """

    def __init__(
        self, generator, discriminator, *, latent="normal", ema_decay=None, seed=0, **kwargs
    ):
        super().__init__(**kwargs)
        _check(generator, discriminator, latent, ema_decay)
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.ema_decay = ema_decay
        self.seed = seed
        self.ema_generator = None
        if ema_decay is not None:
            self.ema_generator = keras.models.clone_model(generator)
            self.ema_generator.set_weights(generator.get_weights())
            self.ema_generator.trainable = False
        # Training steps done: with the seed, all that random draws follow from.
        self.step = self.add_weight(
            shape=(), dtype="int64", trainable=False, aggregation="only_first_replica", name="step"
        )
        self._means = {
            name: keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "d_real", "d_fake")
        }
        self.built = True

    def compile(
        self,
        g_optimizer,
        d_optimizer,
        loss="lsgan",
        *,
        penalty=None,
        d_steps=1,
        simultaneous=False,
        **kwargs,
    ):
        """Sets how `fit` trains.

        Args:
            g_optimizer, d_optimizer: a Keras optimiser or its name, one for each network.
            loss: a key of `keras_gan.losses.LOSSES` or an `AdversarialLoss`.
            penalty: a key of `keras_gan.penalties.PENALTIES` or a `GradientPenalty`, added to
                the discriminator's loss.
            d_steps: k of Algorithm 1, discriminator updates per generator update. A batch
                given to `fit` is dealt out to them: n images make k minibatches of n / k.
            simultaneous: take the generator's gradient from the same forward pass as the
                (last) discriminator's, before either network has moved, as the authors'
                own code did. Algorithm 1, the default, alternates.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile` of `keras.Model.compile`.

        Raises:
            ValueError: if the loss or penalty is unknown, one optimiser is given twice, d_steps
                is below 1, or a penalty is wanted of a discriminator with batch normalisation:
                there the logit of an image depends on the whole batch, and its gradient is not
                the slope that the penalty is on.
        """
        loss = _named("loss", loss, LOSSES, AdversarialLoss)
        if penalty is not None:
            penalty = _named("penalty", penalty, PENALTIES, GradientPenalty)
            _check_independence(self.discriminator)
        if d_steps < 1:
            raise ValueError(f"d_steps={d_steps}: expected at least 1.")
        # Keras' own optimizer and loss stay unset: it would track a loss that is not there.
        super().compile(optimizer=None, loss=None, **kwargs)
        self.g_optimizer = keras.optimizers.get(g_optimizer)
        self.d_optimizer = keras.optimizers.get(d_optimizer)
        if self.g_optimizer is self.d_optimizer:
            raise ValueError("g_optimizer and d_optimizer are one object: expected two.")
        # An optimiser not built here would lose its state on load_model.
        self.g_optimizer.build(self.generator.trainable_variables)
        self.d_optimizer.build(self.discriminator.trainable_variables)
        self.adversarial_loss = loss
        self.penalty = penalty
        self.d_steps = d_steps
        self.simultaneous = simultaneous
        self._execution = kwargs

    @property
    def latent_dim(self):
        return self.generator.input_shape[-1]

    @property
    def sampler(self):
        """The network behind `generate` and `export`: the moving average where there is one."""
        return self.ema_generator or self.generator

    @property
    def metrics(self):
        return list(self._means.values())

    def call(self, z, training=False):
        network = self.generator if training else self.sampler
        return network(z, training=training)

    # Training

    def train_step(self, data):
        """One iteration of Algorithm 1 on a batch of d_steps minibatches of real images."""
        images = self._real(data, at_least=self.d_steps)
        for k in range(self.d_steps):
            real = images[k :: self.d_steps]
            self._seed_layers(k)
            if self.simultaneous and k == self.d_steps - 1:
                self._update_both(real, k)
            else:
                self._update_discriminator(real, k)
        if not self.simultaneous:
            self._seed_layers(self.d_steps)
            self._update_generator(real, self.d_steps)
        self.step.assign_add(1)
        self._update_moving_average()
        return self.get_metrics_result()

    def _update_discriminator(self, real, k):
        fake = _without_side_effects(self.generator, self._noise(real, _TRAIN, self.step, k))
        with tf.GradientTape() as tape:
            loss, *_ = self._discriminator_loss(
                real, fake, _fold(self.seed, _PENALTY, self.step, k)
            )
        _descend(loss, self.discriminator, self.d_optimizer, tape)

    def _update_generator(self, real, k):
        real_logits = None
        if self.adversarial_loss.relativistic:
            real_logits = _at_least_float32(_without_side_effects(self.discriminator, real))
        with tf.GradientTape() as tape:
            fake = self.generator(self._noise(real, _TRAIN, self.step, k), training=True)
            fake_logits = _at_least_float32(_without_side_effects(self.discriminator, fake))
            loss = self._generator_loss(fake_logits, real_logits)
        _descend(loss, self.generator, self.g_optimizer, tape)

    def _update_both(self, real, k):
        with tf.GradientTape() as g_tape:
            fake = self.generator(self._noise(real, _TRAIN, self.step, k), training=True)
            with tf.GradientTape() as d_tape:
                seed = _fold(self.seed, _PENALTY, self.step, k)
                d_loss, fake_logits, real_logits = self._discriminator_loss(real, fake, seed)
            g_loss = self._generator_loss(fake_logits, real_logits)
        # The generator's gradient comes first: it is taken at the discriminator that judged.
        _descend(g_loss, self.generator, self.g_optimizer, g_tape)
        _descend(d_loss, self.discriminator, self.d_optimizer, d_tape)

    def _discriminator_loss(self, real, fake, seed, training=True):
        regularization = []  # the user's regularizers, anew in each call

        def discriminator(images):
            logits = _at_least_float32(self.discriminator(images, training=training))
            regularization.append(sum(self.discriminator.losses))
            return logits

        if self.penalty:
            real_logits, fake_logits, penalty = self.penalty(discriminator, real, fake, seed)
        else:
            real_logits, fake_logits, penalty = discriminator(real), discriminator(fake), 0.0
        loss = self.adversarial_loss.discriminator(real_logits, fake_logits)
        loss += tf.cast(penalty, loss.dtype) + sum(regularization) / len(regularization)
        self._means["d_loss"].update_state(loss, sample_weight=tf.shape(real)[0])
        self._means["d_real"].update_state(self.adversarial_loss.probability(real_logits))
        self._means["d_fake"].update_state(self.adversarial_loss.probability(fake_logits))
        return loss, fake_logits, real_logits

    def _generator_loss(self, fake_logits, real_logits):
        logits = (
            (fake_logits, real_logits) if self.adversarial_loss.relativistic else (fake_logits,)
        )
        loss = self.adversarial_loss.generator(*logits) + sum(self.generator.losses)
        self._means["g_loss"].update_state(loss, sample_weight=tf.shape(fake_logits)[0])
        return loss

    def _update_moving_average(self):
        if self.ema_generator is None:
            return
        # Short at first, or the average would show the initial weights for thousands of steps.
        step = tf.cast(self.step, tf.float32)
        share = tf.maximum(1 - self.ema_decay, 10 / (step + 10))
        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            if keras.backend.is_float_dtype(weight.dtype):
                average.assign_add(tf.cast(share, weight.dtype) * (weight - average))
            else:
                average.assign(weight)

    def test_step(self, data):
        """The losses of a batch as they stand: inference mode, and nothing is updated."""
        real = self._real(data)
        # The images counted since the last reset number the batches of an evaluation.
        batch = self._means["d_loss"].count
        fake = self.generator(self._noise(real, _TEST, batch, 0), training=False)
        _, *logits = self._discriminator_loss(
            real, fake, _fold(self.seed, _TEST, batch, 1), training=False
        )
        self._generator_loss(*logits)
        return self.get_metrics_result()

    def _real(self, data, at_least=1):
        """The images of a batch, which may hold labels beside them."""
        images = tf.convert_to_tensor(keras.utils.unpack_x_y_sample_weight(data)[0])
        if not images.dtype.is_floating:
            raise ValueError(f"Images are {images.dtype.name}: expected floats in [-1, 1].")
        tf.debugging.assert_greater_equal(
            tf.shape(images)[0], at_least, "A batch holds fewer images than d_steps."
        )
        return images

    # Randomness

    def _noise(self, real, stream, step, k):
        """Latents [n, latent_dim] for draw k of a step, as many as there are images in `real`."""
        return LATENTS[self.latent](
            [tf.shape(real)[0], self.latent_dim], _fold(self.seed, stream, step, k)
        )

    def _seed_layers(self, k):
        """Sets the state of every random layer (dropout, noise) for update k of this step.

        Neither weights nor checkpoints hold that state, and so none has to.
        """
        weights = {id(weight) for weight in self.weights}
        variables = self.generator.variables + self.discriminator.variables
        for i, state in enumerate(v for v in variables if id(v) not in weights):
            seed = _fold(self.seed, _LAYERS, self.step, k, i)
            state.assign(tf.cast(seed, state.dtype))

    # Sampling

    def latents(self, num_images, seed=0):
        """The latents of `generate(num_images, seed=seed)`, a tensor [num_images, latent_dim]."""
        return LATENTS[self.latent]([num_images, self.latent_dim], _fold(seed, _SAMPLE, 0, 0))

    def generate(self, num_images, *, seed=0, batch_size=500):
        """Draws images.

        Returns:
            A float32 array [num_images, H, W, C] in [-1, 1], the same for the same seed.
        """
        z = self.latents(num_images, seed)
        batches = [
            self._sample(z[i : i + batch_size]) for i in range(0, max(num_images, 1), batch_size)
        ]
        return np.concatenate(batches)

    def _sample(self, z):
        return tf.cast(self(z, training=False), tf.float32)  # whatever it computes in

    # Saving

    def export(self, filepath):
        """Writes both networks as a SavedModel that TensorFlow alone can load.

        Endpoints, all with images float32 [n, H, W, C] in [0, 1]:
            serving_default(z: float32 [n, latent_dim]) -> {"images"}
            sample(num_images: int32 [], seed: int32 []) -> {"images"}, the same for the same seed
            latents(num_images: int32 [], seed: int32 []) -> {"z"}, those behind `sample`
            discriminator(images) -> {"probability": float32 [n, 1]} that each image is real,
                where the model is compiled: the loss says how D's logits read
        """
        scalar = tf.TensorSpec([], tf.int32)
        z = tf.TensorSpec([None, self.latent_dim], tf.float32, name="z")

        def images(z):
            return {"images": (self._sample(z) + 1) / 2}

        def latents(num_images, seed):
            return {"z": self.latents(num_images, seed)}

        def sample(num_images, seed):
            return images(self.latents(num_images, seed))

        def discriminator(images):
            logits = self.discriminator(2 * images - 1, training=False)
            return {"probability": self.adversarial_loss.probability(tf.cast(logits, tf.float32))}

        archive = keras.export.ExportArchive()
        archive.track(self.sampler)
        archive.track(self.discriminator)
        archive.add_endpoint("serving_default", images, [z])  # the first one is the default
        archive.add_endpoint("sample", sample, [scalar, scalar])
        archive.add_endpoint("latents", latents, [scalar, scalar])
        if self.compiled:
            pixels = tf.TensorSpec(
                [None, *self.discriminator.input_shape[1:]], tf.float32, "images"
            )
            archive.add_endpoint("discriminator", discriminator, [pixels])
        archive.write_out(str(filepath), verbose=False)

    def get_config(self):
        return {
            **super().get_config(),
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "latent": self.latent,
            "ema_decay": self.ema_decay,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config):
        networks = {
            name: keras.saving.deserialize_keras_object(config.pop(name))
            for name in ("generator", "discriminator")
        }
        return cls(**networks, **config)

    def get_compile_config(self):
        if not self.compiled:
            return None
        return {
            **self._execution,
            "g_optimizer": keras.saving.serialize_keras_object(self.g_optimizer),
            "d_optimizer": keras.saving.serialize_keras_object(self.d_optimizer),
            "loss": keras.saving.serialize_keras_object(self.adversarial_loss),
            "penalty": keras.saving.serialize_keras_object(self.penalty),
            "d_steps": self.d_steps,
            "simultaneous": self.simultaneous,
        }

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))


def _without_side_effects(network, inputs):
    """The network's training-mode output, while its batch-norm statistics stay as they are.

    Neither network may move in the other one's update.
    """
    outputs, _ = network.stateless_call(
        network.trainable_variables,
        network.non_trainable_variables,
        inputs,
        training=True,
    )
    return outputs


def _at_least_float32(logits):
    """A loss in half precision would lose small terms and overflow."""
    return logits if logits.dtype == tf.float64 else tf.cast(logits, tf.float32)


def _descend(loss, network, optimizer, tape):
    # What scale_loss multiplies (float16 needs it), `apply` divides out.
    scale = optimizer.scale_loss(tf.ones_like(loss))
    gradients = tape.gradient(loss, network.trainable_variables, output_gradients=scale)
    optimizer.apply(gradients, network.trainable_variables)


def _fold(seed, *counters):
    """A seed int [2] for stateless draws: another one for each (seed, counters)."""
    seed = tf.stack([tf.cast(seed, tf.int32), 0])
    for counter in counters:
        seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(counter, tf.int32))
    return seed


def _named(argument, value, choices, kind):
    """`value` if it is of this kind, or what it names."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, str) or value not in choices:
        raise ValueError(
            f"{argument}={value!r}: expected one of {', '.join(choices)}, or an instance of "
            f"keras_gan's {kind.__name__}."
        )
    return choices[value]()


def _check_independence(discriminator):
    for layer in discriminator._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise InputError(
                f"A gradient penalty is on each image alone, and the discriminator's {layer.name} "
                "lets the images of a batch act on each other: take LayerNormalization, "
                "SpectralNormalization or no normalisation there, or no penalty."
            )


def _check(generator, discriminator, latent, ema_decay):
    for name, network in {"generator": generator, "discriminator": discriminator}.items():
        if not network.built:
            raise ValueError(f"The {name} has no weights yet: begin it with keras.Input(shape).")
        shapes = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
        if not all(isinstance(shape, tuple) for shape in shapes):
            raise ValueError(
                f"The {name} has the shapes {shapes}: expected a Sequential or functional model "
                "with one input and one output."
            )
    if len(generator.input_shape) != 2:
        raise ValueError(
            f"The generator takes {generator.input_shape}: expected latents (None, latent_dim)."
        )
    if generator.output_shape[1:] != discriminator.input_shape[1:]:
        raise ValueError(
            f"The generator makes images of shape {generator.output_shape[1:]} and the "
            f"discriminator takes {discriminator.input_shape[1:]}: expected the same."
        )
    if latent not in LATENTS:
        raise ValueError(f"latent={latent!r}: expected one of {', '.join(LATENTS)}.")
    if ema_decay is not None and not 0 < ema_decay < 1:
        raise ValueError(f"ema_decay={ema_decay}: expected 0 < value < 1, or None.")
