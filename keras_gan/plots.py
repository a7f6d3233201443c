"""The curves of a training, as a PNG file."""

import csv
import math

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator


def draw_curves(history, path):
    """Draws a `CSVLogger`'s file: the losses, D(x) and D(G(z)), and `fid` if it was measured."""
    with open(history, newline="") as file:
        rows = list(csv.DictReader(file))
    epochs = [int(row["epoch"]) + 1 for row in rows]
    panels = 3 if "fid" in rows[0] else 2
    figure = Figure(figsize=(5 * panels, 4), layout="constrained")
    losses, probabilities, *distance = figure.subplots(1, panels)
    for axes, name, label in (
        (losses, "d_loss", "discriminator"),
        (losses, "g_loss", "generator"),
        (probabilities, "d_real", "D(x), real"),
        (probabilities, "d_fake", "D(G(z)), generated"),
        *((axes, "fid", "generated to real") for axes in distance),
    ):
        points = [(e, float(row[name])) for e, row in zip(epochs, rows, strict=True)]
        measured = [point for point in points if not math.isnan(point[1])] or [(1, math.nan)]
        axes.plot(*zip(*measured, strict=True), "o-", markersize=3, label=label)
    losses.set(xlabel="epoch", ylabel="loss")
    probabilities.set(xlabel="epoch", ylabel="probability of being real", ylim=(0, 1))
    probabilities.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
    for axes in distance:
        axes.set(xlabel="epoch", ylabel="Frechet distance (fid)", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    for axes in (losses, probabilities, *distance):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
    figure.savefig(path)
