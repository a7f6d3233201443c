"""The curves of a training, as a PNG file."""

import math

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from keras_gan import InputError
from keras_gan.files import read_history, replacing

DISTANCES = {"fid": "Frechet distance (fid)", "swd": "sliced Wasserstein distance (swd)"}


def draw_curves(history, path):
    """Draws a history.csv: the losses, D(x) and D(G(z)), and `fid` or `swd` if it was measured.

    At most 300 values of each are drawn, evenly spaced, and always the last one.
    """
    rows = read_history(history)
    if not rows:
        raise InputError(f"{history}: it has no epochs.")
    score = next((name for name in DISTANCES if any(name in row for row in rows)), None)
    panels = 3 if score else 2
    width = 5 * panels
    figure = Figure(figsize=(width, 4))  # a layout engine would draw twice, once to measure
    margins = {"left": 0.65 / width, "right": 1 - 0.15 / width, "bottom": 0.14, "top": 0.96}
    figure.subplots_adjust(**margins, wspace=0.25)
    losses, probabilities, *distance = figure.subplots(1, panels)
    for axes, name, label in (
        (losses, "d_loss", "discriminator"),
        (losses, "g_loss", "generator"),
        (probabilities, "d_real", "D(x), real"),
        (probabilities, "d_fake", "D(G(z)), generated"),
        *((axes, score, "generated to real") for axes in distance),
    ):
        points = [(row["epoch"] + 1, row.get(name, math.nan)) for row in rows]
        measured = [point for point in points if math.isfinite(point[1])] or [(1, math.nan)]
        measured = measured[:: -math.ceil(len(measured) / 300)]
        axes.plot(*zip(*measured, strict=True), "o-", markersize=3, label=label)
    losses.set(xlabel="epoch", ylabel="loss")
    probabilities.set(xlabel="epoch", ylabel="probability of being real", ylim=(0, 1))
    probabilities.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    for axes in distance:
        axes.set(xlabel="epoch", ylabel=DISTANCES[score], yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    for axes in (losses, probabilities, *distance):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
