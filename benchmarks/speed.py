"""How fast are the commands and the training? The tables of docs/benchmarks.md.

python -m benchmarks.speed                     the commands, and `gan.fit` beside a bare loop
python -m benchmarks.speed rate [ARCH]         images per second of `gan.fit`
python -m benchmarks.speed profile [ARCH]      where the time of a step goes
python -m benchmarks.speed sizes               `dcgan` on colour pictures of several sizes
python -m benchmarks.speed options [ARCH]      precision and the like, beside the default
"""

import multiprocessing
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

import keras_gan  # and its callbacks at first use: a command's peak memory includes this process's
from benchmarks.common import ROOT, build, markdown
from keras_gan import data
from keras_gan.backend import configure_tensorflow, keras, tf

OPTIONS = {
    "default": {},
    "`--precision=mixed_bfloat16`": {"precision": "mixed_bfloat16"},
    "`--precision=mixed_float16`": {"precision": "mixed_float16"},
    "`--steps_per_execution=1`": {"steps_per_execution": 1},
}
ROUNDS, SECONDS = 5, 8  # the seconds are of each way, each round
LOSSES = {"dcgan": "lsgan", "mlp": "non_saturating", "maxout": "non_saturating"}
# The parts of a step, and patterns of "KIND NAME" of their operations; the first match counts.
PARTS = {
    "convolutions": r"^\S*Conv2D",
    "optimisers": "adam|muon",
    "dense layers": r"^\S*MatMul",
    "random numbers": "Random|stateless",
    "elementwise in the networks": "generator|discriminator",
    "everything else": "",
}


def seconds(function, *arguments):
    begin = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - begin


def default(arch, images=None, **settings):
    """A GAN as `train.py` makes it, its batches, their size, and the function fit(steps)."""
    images = data.load().images if images is None else images
    gan, images, config = build(images, {"arch": arch, "loss": LOSSES[arch], **settings})
    stream = data.batches(images, config.batch_size)

    def fit(steps):
        guard = keras_gan.callbacks.TerminateOnNonFinite()  # train.py's, on each batch
        gan.fit(stream, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[guard])

    return gan, stream, config.batch_size, fit


def bare_step(gan):
    """The step as one would write it without the library: no logs, no seeds, no average."""
    generator, discriminator, loss = gan.generator, gan.discriminator, gan.adversarial_loss
    penalty = gan.penalty or (lambda logits, real, fake, _: (logits(real), logits(fake), 0.0))

    def logits(images, rows=None):
        return discriminator(images, training=True)

    @tf.function(jit_compile=gan.jit_compile or None)
    def step(real):
        with tf.GradientTape(persistent=True) as tape:
            z = tf.random.normal([tf.shape(real)[0], gan.latent_dim])
            fake = generator(z, training=True)
            real_logits, fake_logits, penalised = penalty(logits, real, fake, [0, 0])
            d_loss = loss.discriminator(real_logits, fake_logits) + penalised
            g_loss = gan.g_optimizer.scale_loss(loss.generator(fake_logits))
            d_loss = gan.d_optimizer.scale_loss(d_loss)
        d_gradients = tape.gradient(d_loss, discriminator.trainable_variables)
        g_gradients = tape.gradient(g_loss, generator.trainable_variables)
        gan.d_optimizer.apply(d_gradients, discriminator.trainable_variables)
        gan.g_optimizer.apply(g_gradients, generator.trainable_variables)

    return step


def bare_loop(gan, stream):
    """The function bare(steps): a loop over `bare_step`."""
    step = bare_step(gan)

    def bare(count):
        for real in stream.take(count):
            step(real)
        gan.generator.weights[0].numpy()  # waits for the last step

    return bare


def compare(arch):
    """A row of medians over the rounds: `fit`, the bare loop, and the input alone."""
    keras.backend.clear_session()
    gan, stream, batch_size, fit = default(arch)
    bare = bare_loop(gan, stream)

    def pipeline(count):
        for _ in stream.take(count):
            pass

    for way in (fit, bare, pipeline):
        way(20)  # traces and warms up
    count = int(SECONDS * 100 / seconds(bare, 100) / 8) * 8  # whole executions of eight steps
    ways = ((fit, count), (bare, count), (pipeline, 10 * count))
    rounds = [[n * batch_size / seconds(way, n) for way, n in ways] for _ in range(ROUNDS)]
    fits, bares, inputs = np.transpose(rounds)
    return {
        "arch": arch,
        "fit img/s": f"{np.median(fits):,.0f}",
        "bare img/s": f"{np.median(bares):,.0f}",
        "input img/s": f"{np.median(inputs):,.0f}",
        "fit / bare": f"{np.median(fits / bares):.3f}",
        "input / fit": f"{np.median(inputs / fits):.0f}",
    }


def options(arch="dcgan"):
    """A row for each of the options: medians over the rounds, and ratios in the same round."""
    ways = []
    for settings in OPTIONS.values():
        gan, stream, batch_size, fit = default(arch, **settings)
        bare = bare_loop(gan, stream)
        for way in (fit, bare):
            way(8)  # traces and warms up
            steps = max(8, int(SECONDS / seconds(way, 8)) * 8)
            ways.append((way, steps, steps * batch_size))
    rounds = [[images / seconds(way, steps) for way, steps, images in ways] for _ in range(ROUNDS)]
    fits, bares = np.transpose(rounds)[::2], np.transpose(rounds)[1::2]
    for name, fit, bare in zip(OPTIONS, fits, bares, strict=True):
        yield {
            arch: name,
            "img/s": f"{np.median(fit):,.0f}",
            "ratio": f"{np.median(fit / fits[0]):.2f}",
            "fit / bare": f"{np.median(fit / bare):.3f}",
        }


def commands():
    """A row for each command: median seconds of three, and the peak memory so far."""
    with tempfile.TemporaryDirectory() as folder:
        for line, status in {
            "train.py --help": 1,
            "train.py --arch=resnet": 1,
            "train.py --steps_per_epoch=200 --epochs=1 --model_dir=/tmp/run --overwrite": 0,
            "sample.py --model_dir=/tmp/run --output=/tmp/x.npy --num_images=10000": 0,
        }.items():
            arguments = line.replace("/tmp", folder).split()

            def command(arguments=arguments, status=status):
                options = {"cwd": ROOT, "capture_output": True}
                done = subprocess.run([sys.executable, *arguments], **options)
                assert done.returncode == status, done.stderr

            median = statistics.median(seconds(command) for _ in range(3))
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            yield {
                "command": f"`python {line}`",
                "seconds": f"{median:.2f}",
                "peak MB so far": f"{peak:.0f}",
            }


def rate(arch="dcgan"):
    _, _, batch_size, fit = default(arch)
    fit(50)
    return 500 * batch_size / seconds(fit, 500)


def profile(arch="dcgan", steps=100):
    """Prints the parts of a step, and its speed of arithmetic beside a matrix product's."""
    gan, _, batch_size, fit = default(arch)
    fit(steps)
    step = seconds(fit, steps) / steps
    print(f"{arch}: {step * 1e3:.2f} ms a step of {batch_size} images")
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            fit(steps)
        operations = pd.DataFrame(traced(folder)).sort_values("start")
    spent = (operations["stop"] - operations["start"]).groupby(operations["part"]).sum()
    shares = (spent / spent.sum()).sort_values(ascending=False)
    gaps = operations["start"] - operations["stop"].cummax().shift()  # negative: they overlap
    idle = gaps.clip(lower=0).sum() / (operations["stop"].max() - operations["start"].min())
    shares["of the time no operation runs"] = idle  # input, Python, dispatch
    print(shares.map("{:.1%}".format).to_string(header=False))

    flops = operations_of(gan, batch_size)
    a, b = tf.random.normal([2, 2048, 2048])
    product = tf.function(lambda: (tf.matmul(a, b), tf.matmul(b, a)))  # on half the cores each
    most = 2 * 2 * 2048**3 / statistics.median(seconds(product) for _ in range(10))
    print(
        f"{flops / 1e9:.3f} GFLOP a step, {flops / step / 1e9:.0f} GFLOP/s: "
        f"{flops / step / most:.1%} of the {most / 1e9:.0f} of float32 matrix products"
    )


def operations_of(gan, batch_size):
    """The floating-point operations of a step."""
    real = tf.zeros([batch_size, *gan.discriminator.input_shape[1:]])
    graph = tf.function(gan.train_step).get_concrete_function(real).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
    return tf.compat.v1.profiler.profile(graph, options=options).total_float_ops


def size(side):
    """A row for `dcgan` on random colour pictures of side x side."""
    configure_tensorflow()
    images = np.random.default_rng(0).integers(256, size=[1000, side, side, 3], dtype=np.uint8)
    gan, _, batch_size, fit = default("dcgan", images)
    fit(8)
    count = max(8, int(SECONDS / seconds(fit, 8)) * 8)
    return {
        "pixels": f"{side} x {side}",
        "images/s": f"{count * batch_size / seconds(fit, count):,.0f}",
        "peak MB": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}",
        "MFLOP an image": f"{operations_of(gan, batch_size) / batch_size / 1e6:,.0f}",
        "weights": f"{gan.generator.count_params() + gan.discriminator.count_params():,}",
    }


def traced(folder):
    """The part of a step, start and stop of each operation in a profile, in nanoseconds."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    (host,) = (plane for plane in planes if plane.name == "/host:CPU")
    for line in host.lines:
        for event in line.events if line.name.startswith("tf_Compute") else ():
            name, _, kind = host.event_metadata[event.metadata_id].name.partition(":")
            if kind and "/" in name:
                found = (part for part in PARTS if re.search(PARTS[part], f"{kind} {name}"))
                start = line.timestamp_ns + event.offset_ps // 1000
                stop = start + event.duration_ps // 1000
                yield {"part": next(found), "start": start, "stop": stop}


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rate", *arch]:
            print(rate(*arch))
        case ["profile", *arch]:
            configure_tensorflow()
            profile(*arch)
        case ["options", *arch]:
            configure_tensorflow()
            print(markdown(options(*arch)))
        case ["sizes"]:
            with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
                print(markdown(pool.map(size, (28, 32, 64, 128, 256), chunksize=1)))
        case _:
            print(markdown(commands()), end="\n\n")
            configure_tensorflow()
            print(markdown(map(compare, LOSSES)))
