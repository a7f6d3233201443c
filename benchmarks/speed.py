"""How much of the machine's speed does the library leave to the user? Ratios within one run.

python -m benchmarks.speed                   all of the following but `profile`
python -m benchmarks.speed commands          seconds and memory of the commands
python -m benchmarks.speed fit               images per second of `gan.fit` as `train.py` calls it,
                                             of a bare `tf.function` loop, and of the input alone
python -m benchmarks.speed deterministic     what deterministic operations cost
python -m benchmarks.speed rate [ARCH]       prints the images per second of `gan.fit`
python -m benchmarks.speed profile [ARCH]    prints where the time of a step goes

The results are in docs/benchmarks.md.
"""

import collections
import functools
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras_gan
from benchmarks.common import ROOT, build, markdown
from keras_gan import data
from keras_gan.backend import configure_tensorflow, keras, tf

ROUNDS = 5
SECONDS = 8  # of each way, each round
LOSSES = {"dcgan": "lsgan", "mlp": "non_saturating", "maxout": "non_saturating"}


def default(arch):
    """A GAN as `train.py` makes it, its batches, and their size."""
    gan, images, config = build(data.load().images, {"arch": arch, "loss": LOSSES[arch]})
    return gan, data.batches(images, config.batch_size), config.batch_size


def bare_step(gan):
    """The step as one would write it without the library: no logs, no seeds, no average."""
    generator, discriminator, loss = gan.generator, gan.discriminator, gan.adversarial_loss

    def logits(images):
        return discriminator(images, training=True)

    @tf.function
    def step(real):
        with tf.GradientTape(persistent=True) as tape:
            z = tf.random.normal([tf.shape(real)[0], gan.latent_dim])
            fake = generator(z, training=True)
            if gan.penalty is None:
                real_logits, fake_logits, penalty = logits(real), logits(fake), 0.0
            else:
                real_logits, fake_logits, penalty = gan.penalty(logits, real, fake, [0, 0])
            d_loss = loss.discriminator(real_logits, fake_logits) + penalty
            g_loss = loss.generator(fake_logits)
        d_gradients = tape.gradient(d_loss, discriminator.trainable_variables)
        g_gradients = tape.gradient(g_loss, generator.trainable_variables)
        gan.d_optimizer.apply(d_gradients, discriminator.trainable_variables)
        gan.g_optimizer.apply(g_gradients, generator.trainable_variables)

    return step


def compare(arch):
    """A row of medians over the rounds: `fit`, the bare loop, and the input alone."""
    keras.backend.clear_session()
    gan, stream, batch_size = default(arch)
    step = bare_step(gan)

    def fit(count):
        guard = keras_gan.callbacks.TerminateOnNonFinite()  # the one that acts on each batch
        gan.fit(stream, steps_per_epoch=count, verbose=0, shuffle=False, callbacks=[guard])

    def bare(count):
        for real in stream.take(count):
            step(real)
        gan.generator.weights[0].numpy()

    def pipeline(count):
        for _ in stream.take(count):
            pass

    def rate(way, count):
        begin = time.perf_counter()
        way(count)
        return count * batch_size / (time.perf_counter() - begin)

    for way in (fit, bare, pipeline):
        way(20)  # traces and warms up
    count = int(SECONDS * rate(bare, 100) / batch_size / 4) * 4  # whole executions of four steps
    ways = ((fit, count), (bare, count), (pipeline, 10 * count))
    rounds = [[rate(*way) for way in ways] for _ in range(ROUNDS)]
    fits, bares, inputs = (statistics.median(rates) for rates in zip(*rounds, strict=True))
    return {
        "arch": arch,
        "fit img/s": f"{fits:,.0f}",
        "bare img/s": f"{bares:,.0f}",
        "input img/s": f"{inputs:,.0f}",
        "fit / bare": f"{statistics.median(f / b for f, b, _ in rounds):.3f}",
        "input / fit": f"{statistics.median(i / f for f, _, i in rounds):.0f}",
    }


def command(*arguments, **environment):
    """(seconds, output) of a command."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )
    return time.perf_counter() - begin, done.stdout


def commands():
    """A row for each command: median seconds of three, and the peak memory so far."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"--model_dir={folder}/run"
        for arguments in (
            ["train.py", "--help"],
            ["train.py", "--arch=resnet"],
            ["train.py", "--steps_per_epoch=200", "--epochs=1", run, "--overwrite"],
            ["sample.py", run, f"--output={folder}/x.npy", "--num_images=10000"],
        ):
            seconds = statistics.median(command(*arguments)[0] for _ in range(3))
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            shown = " ".join(arguments).replace(folder, "/tmp")
            yield {
                "command": f"`python {shown}`",
                "seconds": f"{seconds:.2f}",
                "peak MB so far": f"{peak:.0f}",
            }


def deterministic():
    """The speed of `dcgan` with deterministic operations, relative to that without."""
    arguments = ("-m", "benchmarks.speed", "rate")
    rates = [
        [float(command(*arguments, TF_DETERMINISTIC_OPS=on)[1]) for on in ("1", "0")]
        for _ in range(3)
    ]
    return statistics.median(fixed / free for fixed, free in rates)


def rate(arch="dcgan"):
    """Images per second of `gan.fit`."""
    gan, stream, batch_size = default(arch)
    gan.fit(stream, steps_per_epoch=50, verbose=0, shuffle=False)
    begin = time.perf_counter()
    gan.fit(stream, steps_per_epoch=500, verbose=0, shuffle=False)
    return 500 * batch_size / (time.perf_counter() - begin)


def profile(arch="dcgan", steps=100):
    """Prints where the time of a step goes, and its arithmetic against a matrix product's."""
    gan, stream, batch_size = default(arch)
    fit = functools.partial(gan.fit, stream, steps_per_epoch=steps, verbose=0, shuffle=False)
    fit()
    begin = time.perf_counter()
    fit()
    wall = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        fit()
        tf.profiler.experimental.stop()
        operations = list(traced(folder))
    spent = collections.Counter()
    for name, start, stop in operations:
        part = next(part for part, pattern in PARTS.items() if re.search(pattern, name))
        spent[part] += stop - start
    print(f"{arch}: {wall / steps * 1e3:.2f} ms a step of {batch_size} images")
    for name, duration in spent.most_common():
        print(f"{name:30} {duration / spent.total():6.1%}")
    covered, end = 0, 0
    spans = sorted(span for _, *span in operations)
    for start, stop in spans:
        covered, end = covered + max(0, stop - max(start, end)), max(end, stop)
    idle = 1 - covered / (end - spans[0][0])
    print(f"of the time no operation runs (input, Python, dispatch): {idle:.1%}")

    real = tf.zeros([batch_size, *gan.discriminator.input_shape[1:]])
    step = tf.function(gan.train_step).get_concrete_function(real)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation() | {"output": "none"}
    flops = tf.compat.v1.profiler.profile(step.graph, options=options).total_float_ops
    a, b = tf.random.normal([2, 2048, 2048])
    product = tf.function(lambda: (tf.matmul(a, b), tf.matmul(b, a)))  # on half the cores each
    rates = []
    for _ in range(10):
        begin = time.perf_counter()
        product()
        rates.append(2 * 2 * 2048**3 / (time.perf_counter() - begin))
    most, ours = statistics.median(rates), flops * steps / wall
    print(
        f"{flops / 1e9:.3f} GFLOP a step, {ours / 1e9:.0f} GFLOP/s: "
        f"{ours / most:.1%} of the {most / 1e9:.0f} of float32 matrix products"
    )


def traced(folder):
    """(name and kind, start, stop) of each operation in a profile, in picoseconds."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    (host,) = (plane for plane in planes if plane.name == "/host:CPU")
    for line in host.lines:
        if line.name.startswith("tf_Compute"):
            for event in line.events:
                name, _, kind = host.event_metadata[event.metadata_id].name.partition(":")
                start = line.timestamp_ns * 1000 + event.offset_ps
                if kind and "/" in name:
                    yield f"{kind} {name}", start, start + event.duration_ps


# The parts of a step, and patterns of "KIND NAME" of their operations; the first match counts.
PARTS = {
    "convolutions": r"^\S*Conv2D",
    "dense layers": r"^\S*MatMul",
    "optimisers": "[Aa]dam",
    "random numbers": "Random|stateless",
    "elementwise in the networks": "generator|discriminator",
    "everything else": "",
}


def main(parts):
    if "commands" in parts:
        print(markdown(commands()), end="\n\n")
    if "fit" in parts:
        configure_tensorflow()
        print(markdown(map(compare, LOSSES)), end="\n\n")
    if "deterministic" in parts:
        print(f"dcgan, deterministic operations / free ones: {deterministic():.3f}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["rate", *arch]:
            print(rate(*arch))
        case ["profile", *arch]:
            configure_tensorflow()
            profile(*arch)
        case parts:
            main(parts or ["commands", "fit", "deterministic"])
