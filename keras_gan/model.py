"""`GAN`: a generator and a discriminator trained against each other by `model.fit`."""

import copy
import types

import keras
import numpy as np
import tensorflow as tf

from keras_gan import InputError, export, layers, optimizers, replicas, seeds  # noqa: F401
from keras_gan.augment import AUGMENTATIONS
from keras_gan.losses import LOSSES, AdversarialLoss
from keras_gan.penalties import PENALTIES, GradientPenalty

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        f"Keras runs on {keras.backend.backend()}, keras_gan needs TensorFlow: "
        'set the environment variable KERAS_BACKEND to "tensorflow".'
    )

for _term in (*LOSSES.values(), *PENALTIES.values()):
    keras.saving.register_keras_serializable("keras_gan")(_term)


@keras.saving.register_keras_serializable("keras_gan")
class GAN(keras.Model):
    """A generative adversarial network (Goodfellow et al. 2014), trained by Algorithm 1.

    Args:
        generator: a Sequential or functional Keras model, latents float32 [n, latent_dim] ->
            images float32 [n, H, W, C] in [-1, 1].
        discriminator: another one, images -> logits float32 [n, 1], no final activation.
        latent: the distribution of the latents, a key of `keras_gan.seeds.LATENTS`:
            "normal", N(0, 1); "uniform" on [-sqrt(3), sqrt(3)]; or "categorical": the last
            ten numbers are one of ten categories, the others normal.
        classes: if given, the GAN is conditional, and `latent` is "categorical": the last `classes`
            numbers of a latent say which class to draw. The discriminator takes (images, labels
            int [n]): see `keras_gan.networks.projection`.
        ema_decay: if given, in (0, 1): keep an exponential moving average of the
            generator's weights, used by `generate` and `export`.
        seed: an int32. It and the step's number give all random draws of `fit`.

    Raises:
        ValueError: if a network has no weights yet or shapes that don't fit, or an argument is out
            of range.

    `fit` and `evaluate` take batches of images in [-1, 1], or pairs (images, labels). Only a
    conditional GAN looks at the labels, 0 to classes - 1. They log `d_loss` with the penalty,
    `g_loss`, and the probabilities `d_real` = mean D(x) and `d_fake` = mean D(G(z)); with a loss of
    Goodfellow et al. 2014 also `value`, V(D, G) of their equation 1. Images outside [-2, 2], and
    labels out of range, raise a `tf.errors.InvalidArgumentError`, except under `jit_compile`: XLA
    drops the check.
    """

    def __init__(
        self,
        generator,
        discriminator,
        *,
        latent="normal",
        classes=None,
        ema_decay=None,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        _check(generator, discriminator, latent, classes, ema_decay)
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.classes = classes
        self.ema_decay = ema_decay
        self.seed = seed
        self.ema_generator = None
        if ema_decay is not None:
            self.ema_generator = layers.clone(generator)
            self.ema_generator.set_weights(generator.get_weights())
            self.ema_generator.trainable = False
        options = {"trainable": False, "aggregation": "only_first_replica", "name": "step"}
        self.step = self.add_weight((), dtype="int64", **options)  # training steps done
        self._make_metrics("d_loss", "g_loss", "d_real", "d_fake")
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
        augment=(),
        **kwargs,
    ):
        """Configures `fit`.

        Args:
            g_optimizer, d_optimizer: a Keras optimiser or its name, one for each network. In
                float16 each gets a `keras.optimizers.LossScaleOptimizer` of its own.
            loss: a key of `keras_gan.losses.LOSSES` or an `AdversarialLoss`.
            penalty: a key of `keras_gan.penalties.PENALTIES` or a `GradientPenalty`, added to
                the discriminator's loss.
            d_steps: k of Algorithm 1, discriminator updates per generator update. A batch of n
                images given to `fit` is split into k minibatches of n / k, one for each. If n < k,
                they hold one image each, some the same.
            simultaneous: take both gradients from one forward pass (if d_steps > 1: the last
                one), as in the authors' code. Algorithm 1, the default, alternates.
            augment: keys of `keras_gan.augment.AUGMENTATIONS`: how images are changed, in this
                order, before D sees them in a training step.
            **kwargs: `run_eagerly`, `steps_per_execution`, `jit_compile` of `keras.Model.compile`.

        Raises:
            ValueError: if the loss, penalty or augmentation is unknown, one optimiser is given
                twice or has `use_ema`, d_steps is below 1, there is a penalty and batch
                normalisation in the discriminator, or there are several replicas and several steps
                per execution.
        """
        loss = _named("loss", loss, LOSSES, AdversarialLoss)
        if penalty is not None:
            penalty = _named("penalty", penalty, PENALTIES, GradientPenalty)
            _check_independence(self.discriminator)
        if d_steps < 1:
            raise ValueError(f"d_steps={d_steps}: expected at least 1.")
        if not set(augment) <= set(AUGMENTATIONS):
            raise ValueError(f"augment={augment}: expected some of {list(AUGMENTATIONS)}.")
        if self.distribute_strategy.num_replicas_in_sync > 1:
            steps = kwargs.get("steps_per_execution", 1)
            if steps != 1:  # Keras' loop over them fails on the replicas' variables
                raise ValueError(f"steps_per_execution={steps}: expected 1 with several replicas.")
            for layer in (*self.generator._flatten_layers(), *self.discriminator._flatten_layers()):
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.synchronized = True
        g_optimizer, d_optimizer = map(keras.optimizers.get, (g_optimizer, d_optimizer))
        if g_optimizer is d_optimizer:
            raise ValueError("g_optimizer and d_optimizer are one object: expected two.")
        # Without optimizer=None Keras would make an RMSprop, and a metric of a loss it never sees.
        super().compile(optimizer=None, loss=None, **kwargs)
        self.g_optimizer = _built("g_optimizer", g_optimizer, self.generator)
        self.d_optimizer = _built("d_optimizer", d_optimizer, self.discriminator)
        self.adversarial_loss = loss
        has_value = loss.value(tf.zeros([1, 1]), tf.zeros([1, 1])) is not None
        self._make_metrics("d_loss", "g_loss", "d_real", "d_fake", *["value"] * has_value)
        self.penalty = penalty
        self.d_steps = d_steps
        self.simultaneous = simultaneous
        self.augment = list(augment)
        self._execution = kwargs

    @property
    def latent_dim(self):
        return self.generator.input_shape[-1]

    @property
    def sampler(self):
        """The network of `generate` and `export`: the moving average if there is one."""
        return self.ema_generator or self.generator

    def _make_metrics(self, *names):
        # Keras and TensorFlow would track a dict, and save the metrics with each state. Reading a
        # metric takes all workers, but the chief writes the states alone.
        self._means = types.MappingProxyType({name: keras.metrics.Mean(name) for name in names})

    @property
    def metrics(self):
        return list(self._means.values())

    def call(self, z, training=False):
        network = self.generator if training else self.sampler
        return tf.cast(network(z, training=training), tf.float32)  # also in mixed precision

    def train_step(self, data):
        """One iteration of Algorithm 1 on a batch of d_steps minibatches of real images."""
        images, labels = self._real(data)
        count = keras.ops.shape(images)[0]
        for k in range(self.d_steps):
            some = slice(k % count, None, self.d_steps)  # at least one image, if need be again
            real, of = images[some], None if labels is None else labels[some]
            z, seed = self._draw(real, k, of)
            if self.simultaneous and k == self.d_steps - 1:
                self._update_both(real, z, seed, of)
            else:
                self._update_discriminator(real, z, seed, of)
        if not self.simultaneous:
            self._update_generator(real, *self._draw(real, self.d_steps, of), of)
        self.step.assign_add(1)
        self._update_moving_average()
        return self._logs()

    def _draw(self, real, k, labels=None):
        """Draws latents and a seed for update k of this step, and seeds dropout."""
        seeds.seed_layers([self.generator, self.discriminator], self.seed, self.step, k)
        z = self._latents_like(real, seeds.TRAIN, self.step, k, labels=labels)
        return z, seeds.fold(self.seed, seeds.PENALTY, self.step, k)

    def _augmented(self, images, seed, side):
        """What D sees of images in a training step; `side` is 0 for real ones, else 1."""
        for i, name in enumerate(self.augment):
            # A penalty has used the seed itself, and 1.
            draw = tf.random.experimental.stateless_fold_in(seed, 2 + 2 * i + side)
            images = AUGMENTATIONS[name](images, draw)
        return images

    def _with_labels(self, images, labels):
        """The inputs of the discriminator."""
        return images if labels is None else [images, labels]

    def _update_discriminator(self, real, z, seed, labels=None):
        real = self._augmented(real, seed, 0)
        fake = self._augmented(_without_side_effects(self.generator, z), seed, 1)
        with tf.GradientTape() as tape:
            loss, *_ = self._discriminator_loss(real, fake, seed, labels)
        _descend(loss, self.discriminator, self.d_optimizer, tape)

    def _update_generator(self, real, z, seed, labels=None):
        def logits(images):
            inputs = self._with_labels(images, labels)
            return _at_least_float32(_without_side_effects(self.discriminator, inputs))

        real_logits = None
        if self.adversarial_loss.relativistic:
            real_logits = logits(self._augmented(real, seed, 0))
        with tf.GradientTape() as tape:
            fake = self._augmented(self.generator(z, training=True), seed, 1)
            loss = self._generator_loss(logits(fake), real_logits)
        _descend(loss, self.generator, self.g_optimizer, tape)

    def _update_both(self, real, z, seed, labels=None):
        real = self._augmented(real, seed, 0)
        with tf.GradientTape() as g_tape:
            fake = self._augmented(self.generator(z, training=True), seed, 1)
            with tf.GradientTape() as d_tape:
                d_loss, *logits = self._discriminator_loss(real, fake, seed, labels)
            g_loss = self._generator_loss(*logits)
        # The generator's gradient comes first: it is that of the D before its update.
        _descend(g_loss, self.generator, self.g_optimizer, g_tape)
        _descend(d_loss, self.discriminator, self.d_optimizer, d_tape)

    def _discriminator_loss(self, real, fake, seed, labels=None, training=True):
        """The loss, and the logits of fake and real images. Both kinds have the same labels."""
        regularization = []  # the sum of D's own regularizers, in each of its calls

        def discriminator(images, rows=slice(None)):
            inputs = self._with_labels(images, labels if labels is None else labels[rows])
            logits = _at_least_float32(self.discriminator(inputs, training=training))
            regularization.append(sum(self.discriminator.losses))
            return logits

        if self.penalty:
            real_logits, fake_logits, penalty = self.penalty(discriminator, real, fake, seed)
        else:
            real_logits, fake_logits, penalty = discriminator(real), discriminator(fake), 0.0
        loss = self.adversarial_loss.discriminator(real_logits, fake_logits)
        loss += tf.cast(penalty, loss.dtype) + sum(regularization) / len(regularization)
        self._means["d_loss"].update_state(loss, sample_weight=tf.shape(real)[0])
        if "value" in self._means:
            value = self.adversarial_loss.value(real_logits, fake_logits)
            self._means["value"].update_state(value, sample_weight=tf.shape(real)[0])
        self._means["d_real"].update_state(self.adversarial_loss.probability(real_logits))
        self._means["d_fake"].update_state(self.adversarial_loss.probability(fake_logits))
        return loss, fake_logits, real_logits

    def _generator_loss(self, fake_logits, real_logits):
        relative_to = (real_logits,) if self.adversarial_loss.relativistic else ()
        loss = self.adversarial_loss.generator(fake_logits, *relative_to)
        loss += sum(self.generator.losses)
        self._means["g_loss"].update_state(loss, sample_weight=tf.shape(fake_logits)[0])
        return loss

    def _update_moving_average(self):
        if self.ema_generator is None:
            return
        # The average is short at first, so that the initial weights soon leave it.
        step = tf.cast(self.step, tf.float32)
        share = tf.maximum(1 - self.ema_decay, 10 / (step + 10))
        for average, weight in zip(self.ema_generator.weights, self.generator.weights, strict=True):
            if keras.backend.is_float_dtype(weight.dtype):
                average.assign_add(tf.cast(share, weight.dtype) * (weight - average))
            else:
                average.assign(weight)

    def test_step(self, data):
        """The losses of a batch in inference mode; no weight changes."""
        real, labels = self._real(data)
        # The images counted since the last reset tell the batches of an evaluation apart.
        batch = self._means["d_loss"].count
        z = self._latents_like(real, seeds.TEST, batch, 0, labels=labels)
        fake = self.generator(z, training=False)
        seed = seeds.fold(self.seed, seeds.TEST, batch, 1)
        _, *logits = self._discriminator_loss(real, fake, seed, labels, training=False)
        self._generator_loss(*logits)
        return self._logs()

    def _logs(self):
        logs = self.get_metrics_result()
        if replicas.several_workers(self.distribute_strategy):
            # Keras takes the mean over the workers along the first axis.
            logs = {name: tf.reshape(value, [1]) for name, value in logs.items()}
        return logs

    def _real(self, data):
        """The images of a batch, and its labels if the GAN is conditional, else None."""
        images, labels, weights = keras.utils.unpack_x_y_sample_weight(data)
        if weights is not None:  # those of `class_weight`, too
            given = "sample weights (sample_weight, class_weight or a third element of a batch)"
            raise ValueError(f"There are {given}: expected none, all images count the same.")
        images = tf.convert_to_tensor(images)
        if not images.dtype.is_floating:
            raise ValueError(f"Images are {images.dtype.name}: expected floats in [-1, 1].")
        if len(self.generator.output_shape) == 4:  # vectors, of a toy problem, have any range
            low, high = tf.reduce_min(images), tf.reduce_max(images)
            advice = ": expected [-1, 1]. Scale pixels in [0, 255] by x / 127.5 - 1."
            message = ["Images range from", low, "to", high, advice]
            tf.debugging.Assert((low >= -2) & (high <= 2), message)  # 1 to spare: noise on images
        if self.distribute_strategy.num_replicas_in_sync > 1:
            count = tf.cast(tf.shape(images)[0], tf.float32)
            message = ["The replicas have batches of different sizes, this one", count]
            tf.debugging.Assert(replicas.mean(count) == count, message)
        if self.classes is None:
            return images, None
        if labels is None:
            raise ValueError("There are no labels: expected batches (images, labels).")
        return images, self._checked_labels(labels)

    def _checked_labels(self, labels):
        """Labels as int32 [n]. Others than 0 to classes - 1 fail when the graph runs."""
        labels = tf.cast(tf.convert_to_tensor(labels), tf.int32)
        bounds = tf.reduce_all((labels >= 0) & (labels < self.classes))
        message = ["Labels are", labels, f": expected 0 to {self.classes - 1}."]
        with tf.control_dependencies([tf.debugging.Assert(bounds, message)]):
            return tf.identity(labels)

    def _latents_like(self, real, *counters, labels=None):
        """Latents [n, latent_dim] for a training or test step, one for each image in `real`."""
        seed = seeds.fold(self.seed, *counters)
        parts = self.distribute_strategy.num_replicas_in_sync
        # In the other replicas' rows, which are not used, the labels don't matter.
        labels = labels if labels is None else tf.tile(labels, [parts])
        return replicas.rows(lambda n: self._latents(n, seed, labels), tf.shape(real)[0])

    def _latents(self, count, seed, labels):
        shape = [count, self.latent_dim]
        if self.classes is None:
            return seeds.LATENTS[self.latent](shape, seed)
        # Half as far apart as categories without labels: benchmarks/recipes.md, "With labels".
        return seeds.categorical(shape, seed, labels, self.classes, scale=0.5)

    def latents(self, num_images, seed=0, labels=None):
        """The latents of `generate` with these arguments, a tensor [num_images, latent_dim]."""
        return self.labelled_latents(num_images, seed, labels)[0]

    def labelled_latents(self, num_images, seed=0, labels=None):
        """`latents`, and their labels int32 [num_images]; None if the GAN is not conditional."""
        seed = seeds.fold(seed, seeds.SAMPLE, 0, 0)
        if self.classes is None:
            if labels is not None:
                raise InputError(f"labels={labels}: the GAN is not conditional, it has no classes.")
            return self._latents(num_images, seed, None), None
        drawn = seeds.categories(num_images, seed, self.classes)
        if labels is not None:
            given = self._checked_labels(tf.reshape(labels, [-1]))
            count = tf.size(given)
            turn = tf.range(num_images) % tf.maximum(count, 1)
            drawn = tf.cond(count > 0, lambda: tf.gather(given, turn), lambda: drawn)
        return self._latents(num_images, seed, drawn), drawn

    def generate(self, num_images, *, seed=0, labels=None, batch_size=500):
        """Draws images: float32 [num_images, H, W, C] in [-1, 1], the same for the same seed.

        `labels` of a conditional GAN: a class, or a list of classes, which are drawn in turn. By
        default each image's class is drawn evenly. An InputError if the GAN is not conditional, a
        `tf.errors.InvalidArgumentError` for a label out of range.
        """
        z = self.latents(num_images, seed, labels)
        starts = range(0, max(num_images, 1), batch_size)
        return np.concatenate([self(z[i : i + batch_size], training=False) for i in starts])

    def probability(self, images, labels=None):
        """D's probability that images [n, H, W, C] in [-1, 1] are real, a tensor float32 [n, 1].

        The GAN must be compiled: its loss turns logits into probabilities. `labels`, int [n], are
        for a conditional GAN, and only for it: else an InputError.
        """
        if (labels is None) != (self.classes is None):
            needed = "no labels" if self.classes is None else "labels"
            raise InputError(f"labels={labels}: expected {needed} for this GAN.")
        images = tf.convert_to_tensor(images)
        labels = labels if labels is None else self._checked_labels(labels)
        logits = self.discriminator(self._with_labels(images, labels), training=False)
        return self.adversarial_loss.probability(tf.cast(logits, tf.float32))

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Writes a SavedModel, which TensorFlow alone can load: see `keras_gan.export.write`.

        Any other `format` is one of `keras.Model.export`, which gets the sampling generator
        (latents -> images in [-1, 1]) and `kwargs`. The SavedModel takes no `kwargs`: TypeError.
        """
        if format == "tf_saved_model":
            export.write(self, filepath, **kwargs)
        else:
            self.sampler.export(filepath, format=format, **kwargs)

    def get_config(self):
        names = ("generator", "discriminator", "latent", "classes", "ema_decay", "seed")
        settings = {name: getattr(self, name) for name in names}
        return super().get_config() | keras.saving.serialize_keras_object(settings)

    @classmethod
    def from_config(cls, config):
        # Keras changes the configuration of a functional model as it reads it.
        return cls(**keras.saving.deserialize_keras_object(copy.deepcopy(config)))

    def get_compile_config(self):
        if not self.compiled:
            return None
        names = ("g_optimizer", "d_optimizer", "penalty", "d_steps", "simultaneous", "augment")
        settings = {name: getattr(self, name) for name in names}
        settings |= {"loss": self.adversarial_loss, **self._execution}
        return keras.saving.serialize_keras_object(settings)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))


def _without_side_effects(network, inputs):
    """The network's output in training mode; its batch-norm statistics stay as they are."""
    variables = network.trainable_variables, network.non_trainable_variables
    return network.stateless_call(*variables, inputs, training=True)[0]


def _at_least_float32(logits):
    """Casts half precision to float32: a loss would overflow and lose small terms."""
    return logits if logits.dtype == tf.float64 else tf.cast(logits, tf.float32)


def _built(name, optimizer, network):
    """The optimiser of a network, ready to be saved and loaded; in float16 with a loss scale."""
    scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if (optimizer.inner_optimizer if scaled else optimizer).use_ema:
        # Keras would put the averages into the weights only for `model.optimizer`.
        raise ValueError(f"{name} has use_ema=True: expected False; use ema_decay of GAN.")
    float16 = any(layer.compute_dtype == "float16" for layer in network._flatten_layers())
    if float16 and not scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.trainable_variables)
    return optimizer


def _descend(loss, network, optimizer, tape):
    # `scale_loss` multiplies by the loss scale of float16, and `apply` divides by it. `apply` sums
    # the gradients of the replicas; the loss of the whole batch is the mean of theirs.
    parts = tf.distribute.get_strategy().num_replicas_in_sync
    scale = optimizer.scale_loss(tf.ones_like(loss)) / parts
    gradients = tape.gradient(loss, network.trainable_variables, output_gradients=scale)
    if parts > 1 and isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        # It asks one replica whether its gradients are finite: let all have the same answer.
        finite = [tf.reduce_all(tf.math.is_finite(g)) for g in gradients if g is not None]
        spread = replicas.mean(tf.where(tf.reduce_all(finite), 0.0, np.inf))
        gradients = [g if g is None else g + spread for g in gradients]
    optimizer.apply(gradients, network.trainable_variables)


def _named(argument, value, choices, kind):
    """`value` if it is an instance of `kind`, or an instance of the class it names."""
    if isinstance(value, kind):
        return value
    if not isinstance(value, str) or value not in choices:
        expected = f"one of {', '.join(choices)}, or an instance of keras_gan's {kind.__name__}"
        raise ValueError(f"{argument}={value!r}: expected {expected}.")
    return choices[value]()


def _check_independence(discriminator):
    for layer in discriminator._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            raise InputError(
                f"The discriminator's {layer.name} makes a logit depend on the whole batch, and a "
                "gradient penalty does not allow that: use LayerNormalization or no penalty."
            )


def _check(generator, discriminator, latent, classes, ema_decay):
    for name, network in {"generator": generator, "discriminator": discriminator}.items():
        if not network.built:
            raise ValueError(f"The {name} has no weights yet: begin it with keras.Input(shape).")
        shapes = getattr(network, "input_shape", None), getattr(network, "output_shape", None)
        if name == "discriminator" and classes is not None:
            if not isinstance(shapes[0], list) or len(shapes[0]) != 2:
                advice = "expected two, (images, labels): see keras_gan.networks.projection"
                raise ValueError(f"The discriminator has one input: {advice}.")
            shapes = *shapes[0], shapes[1]
        if not all(isinstance(shape, tuple) for shape in shapes):
            raise ValueError(f"The {name} is no Sequential or functional model: expected one.")
    if len(generator.input_shape) != 2:
        shape = generator.input_shape
        raise ValueError(f"The generator takes {shape}: expected latents (None, latent_dim).")
    made, taken = generator.output_shape[1:], tuple(discriminator.inputs[0].shape[1:])
    if made != taken:
        shapes = f"The generator makes images of shape {made}, the discriminator takes {taken}"
        raise ValueError(f"{shapes}: expected the same.")
    if discriminator.output_shape[1:] != (1,):
        shape = discriminator.output_shape
        raise ValueError(f"The discriminator makes {shape}: expected logits (None, 1).")
    if latent not in seeds.LATENTS:
        raise ValueError(f"latent={latent!r}: expected one of {', '.join(seeds.LATENTS)}.")
    if classes is not None and (latent != "categorical" or classes < 2):
        found = f"classes={classes}, latent={latent!r}"
        raise ValueError(f"{found}: expected at least 2 classes, and 'categorical'.")
    if latent == "categorical" and generator.input_shape[1] <= (classes or seeds.CATEGORIES):
        raise InputError(
            f"latent_dim={generator.input_shape[1]}: expected more than "
            f"{classes or seeds.CATEGORIES}, the numbers that hold the category, with "
            "latent=categorical."
        )
    if ema_decay is not None and not 0 < ema_decay < 1:
        raise ValueError(f"ema_decay={ema_decay}: expected 0 < value < 1, or None.")
