"""How much of the machine's speed the library leaves to the user: ratios within one run.

python benchmarks/speed.py

First what the commands cost as a user starts them. Then for each architecture, in turn and
several times over: images per second of `gan.fit` as `train.py` runs it, of a bare
`tf.function` loop with the same networks, loss, optimisers and batches, and of the input
pipeline alone. Last what deterministic operations cost, which `train.py` asks for on a CPU.
The result stands in benchmarks/speed.md.

python benchmarks/speed.py rate [ARCH]       prints the images per second of `gan.fit`
python benchmarks/speed.py profile [ARCH]    prints where the time of a step goes
"""

import collections
import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import keras_gan  # noqa: E402
from keras_gan import data, training  # noqa: E402
from keras_gan._lazy import keras, load_tensorflow, tf  # noqa: E402
from keras_gan.config import Config  # noqa: E402

ROUNDS = 5
SECONDS = 8  # of each way, each round
LOSSES = {"dcgan": "lsgan", "mlp": "non_saturating", "maxout": "non_saturating"}


def bare_step(gan):
    """The step as one would write it without the library: no logs, no seeds, no average."""
    generator, discriminator = gan.generator, gan.discriminator
    loss = gan.adversarial_loss

    def descend(tape, value, network, optimizer):
        gradients = tape.gradient(value, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)

    def noise(real):
        return tf.random.normal([tf.shape(real)[0], gan.latent_dim])

    def judge(real, fake):
        def trained(images):
            return discriminator(images, training=True)

        if gan.penalty is None:
            real_logits, fake_logits, penalty = trained(real), trained(fake), 0.0
        else:
            real_logits, fake_logits, penalty = gan.penalty(trained, real, fake, [0, 0])
        return loss.discriminator(real_logits, fake_logits) + penalty, fake_logits

    @tf.function
    def alternating(real):
        fake = generator(noise(real), training=True)
        with tf.GradientTape() as tape:
            d_loss, _ = judge(real, fake)
        descend(tape, d_loss, discriminator, gan.d_optimizer)
        with tf.GradientTape() as tape:
            fake = generator(noise(real), training=True)
            g_loss = loss.generator(discriminator(fake, training=True))
        descend(tape, g_loss, generator, gan.g_optimizer)

    @tf.function
    def simultaneous(real):
        with tf.GradientTape(persistent=True) as tape:
            fake = generator(noise(real), training=True)
            d_loss, fake_logits = judge(real, fake)
            g_loss = loss.generator(fake_logits)
        d_gradients = tape.gradient(d_loss, discriminator.trainable_variables)
        g_gradients = tape.gradient(g_loss, generator.trainable_variables)
        gan.d_optimizer.apply(d_gradients, discriminator.trainable_variables)
        gan.g_optimizer.apply(g_gradients, generator.trainable_variables)

    return simultaneous if gan.simultaneous else alternating


def compare(arch, images):
    """Medians over the rounds: images per second of fit, of the bare loop, of the input alone."""
    config = Config(arch=arch, loss=LOSSES[arch]).resolve(len(images))
    gan = training.build(config, images)
    stream = data.batches(images, config.batch_size)
    step = bare_step(gan)

    def fit(count):
        guard = (
            keras_gan.callbacks.TerminateOnNonFinite()
        )  # the one callback that acts on each batch
        gan.fit(stream, steps_per_epoch=count, verbose=0, shuffle=False, callbacks=[guard])

    def bare(count):
        for real in stream.take(count):
            step(real)
        gan.generator.weights[0].numpy()

    def pipeline(count):
        for _ in stream.take(count):
            pass

    def seconds(way, count):
        begin = time.perf_counter()
        way(count)
        return time.perf_counter() - begin

    for way in (fit, bare, pipeline):
        way(20)  # traces and warms up
    count = int(SECONDS / seconds(bare, 100) * 25) * 4  # whole executions of four steps
    rates = [
        [way_count * config.batch_size / seconds(way, way_count) for way, way_count in order]
        for order in [((fit, count), (bare, count), (pipeline, 10 * count))] * ROUNDS
    ]
    fits, bares, inputs = zip(*rates, strict=True)
    share = statistics.median(f / b for f, b in zip(fits, bares, strict=True))
    times = statistics.median(i / f for i, f in zip(inputs, fits, strict=True))
    medians = [statistics.median(values) for values in (fits, bares, inputs)]
    return (*medians, share, times)


def command(*arguments, runs=3, **environment):
    """(median seconds, peak MB of all commands so far, last output) of a command."""
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
        )
        times.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return statistics.median(times), peak, done.stdout


def rate(arch="dcgan"):
    """Images per second of `gan.fit`, in a process of its own."""
    images = data.load().images
    config = Config(arch=arch, loss=LOSSES[arch]).resolve(len(images))
    gan = training.build(config, images)
    stream = data.batches(images, config.batch_size)
    gan.fit(stream, steps_per_epoch=50, verbose=0, shuffle=False)
    begin = time.perf_counter()
    gan.fit(stream, steps_per_epoch=500, verbose=0, shuffle=False)
    return 500 * config.batch_size / (time.perf_counter() - begin)


def profile(arch="dcgan", steps=100):
    """Where the time of a step goes, and its arithmetic against that of a matrix product."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    images = data.load().images
    config = Config(arch=arch, loss=LOSSES[arch]).resolve(len(images))
    gan = training.build(config, images)
    fit = functools.partial(
        gan.fit, data.batches(images, config.batch_size), verbose=0, shuffle=False
    )
    fit(steps_per_epoch=steps)
    begin = time.perf_counter()
    fit(steps_per_epoch=steps)
    wall = time.perf_counter() - begin
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        fit(steps_per_epoch=steps)
        tf.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        (host,) = (
            plane
            for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes
            if plane.name == "/host:CPU"
        )
    spent, spans = collections.Counter(), []
    for line in host.lines:
        if line.name.startswith("tf_Compute"):
            for event in line.events:
                name, _, kind = host.event_metadata[event.metadata_id].name.partition(":")
                if kind and "/" in name:
                    spent[part(name, kind)] += event.duration_ps / 1e9
                    start = line.timestamp_ns * 1000 + event.offset_ps
                    spans.append((start, start + event.duration_ps))
    print(f"{arch}: {wall / steps * 1e3:.2f} ms a step of {config.batch_size} images")
    for name, milliseconds in spent.most_common():
        print(f"{name:30} {milliseconds / sum(spent.values()):6.1%}")
    covered, end = 0, 0
    for start, stop in sorted(spans):
        covered, end = covered + max(0, stop - max(start, end)), max(end, stop)
    whole = max(stop for _, stop in spans) - min(start for start, _ in spans)
    print(f"of the time no operation runs (input, Python, dispatch): {1 - covered / whole:.1%}")

    real = tf.zeros([config.batch_size, *images.shape[1:]])
    step = tf.function(gan.train_step).get_concrete_function(real)
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    flops = tf.compat.v1.profiler.profile(step.graph, options=options).total_float_ops
    a, b = tf.random.normal([2, 2048, 2048])
    product = tf.function(lambda: (tf.matmul(a, b), tf.matmul(b, a)))  # on half the cores each
    rates = []
    for _ in range(10):
        begin = time.perf_counter()
        product()
        rates.append(2 * 2 * 2048**3 / (time.perf_counter() - begin))
    rate = statistics.median(rates)
    print(
        f"{flops / 1e9:.3f} GFLOP a step, {flops * steps / wall / 1e9:.0f} GFLOP/s: "
        f"{flops * steps / wall / rate:.1%} of the {rate / 1e9:.0f} of float32 matrix products"
    )


def part(name, kind):
    """The part of a step that an operation belongs to."""
    if "Conv2D" in kind:
        return "convolutions"
    if "MatMul" in kind:
        return "dense layers"
    if "adam" in name.lower():
        return "optimisers"
    if "Random" in kind or "stateless" in name:
        return "random numbers"
    if "generator" in name or "discriminator" in name:
        return "elementwise in the networks"
    return "everything else"


def main():
    os.chdir(ROOT)
    print("| command | seconds | peak MB so far |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as run:
        short = ["train.py", "--steps_per_epoch=200", "--epochs=1", f"--model_dir={run}/run"]
        for arguments in (
            ["train.py", "--help"],
            ["train.py", "--arch=resnet"],
            [*short, "--overwrite"],
            ["sample.py", f"--model_dir={run}/run", f"--output={run}/x.npy", "--num_images=10000"],
        ):
            seconds, peak, _ = command(*arguments)
            shown = " ".join(arguments).replace(run, "/tmp")
            print(f"| `python {shown}` | {seconds:.2f} | {peak:.0f} |", flush=True)

    training.start_tensorflow()
    images = data.load().images
    print("\n| arch | fit img/s | bare img/s | input img/s | fit / bare | input / fit |")
    print("|---|---|---|---|---|---|")
    for arch in LOSSES:
        keras.backend.clear_session()
        fit, bare, pipeline, share, times = compare(arch, images)
        print(
            f"| {arch} | {fit:,.0f} | {bare:,.0f} | {pipeline:,.0f} | {share:.3f} | {times:.0f} |",
            flush=True,
        )

    ratios = []
    for _ in range(3):
        free, fixed = (
            float(
                command(str(Path(__file__).resolve()), "rate", runs=1, TF_DETERMINISTIC_OPS=on)[2]
            )
            for on in ("0", "1")
        )
        ratios.append(fixed / free)
    print(f"\ndcgan, deterministic operations / free ones: {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["rate"]:
        load_tensorflow()
        print(rate(*sys.argv[2:]))
    elif sys.argv[1:2] == ["profile"]:
        training.start_tensorflow()
        profile(*sys.argv[2:])
    else:
        main()
