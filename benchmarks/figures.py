"""The figures of docs/claims.md: each function draws one on a matplotlib Figure from a `Study`."""

import functools
import itertools

import numpy as np
from matplotlib.image import imread
from matplotlib.ticker import LogLocator

from benchmarks.tables import where

LINE = {"color": "grey", "linewidth": 0.8, "linestyle": ":"}


def by_loss(figure, study, score, label):
    """A score after equal steps by network and loss; the published maxout stands in both panels."""
    rows = where(study.rows, part="losses", after="equal steps")
    for axes, setting in panels(figure, ["plain", "default"]):
        at = rows[rows["setting"].isin([setting, "published"])]
        groups = at.groupby(["arch", "loss"], sort=False)[score]
        boxes(axes, {" ".join(key): values for key, values in groups})
        axes.set(title=f"{setting} (maxout: published)", ylabel=label)
        logarithmic(axes)
        axes.tick_params(axis="x", rotation=90)


fid = functools.partial(by_loss, score="fid", label="fid")
noise = functools.partial(by_loss, score="noise", label="noise (real images: 1)")


def gradients(figure, study):
    at = where(study.courses, part="gradients")
    for axes, arch in panels(figure, at["arch"].unique()):
        for loss in at["loss"].unique():
            course(axes, where(at, arch=arch, loss=loss), "gradient", loss)
        axes.set(title=arch, xlabel="step", ylabel="norm of the generator's gradient")
        logarithmic(axes)
        axes.legend()


def half(figure, study):
    at = where(study.courses, part="half")
    for axes, setting in panels(figure, at["setting"].unique()):
        course(axes, where(at, setting=setting), "d_real", "D(x)")
        course(axes, where(at, setting=setting), "d_fake", "D(G(z))")
        axes.axhline(0.5, **LINE)
        axes.set(title=setting, xlabel="step", ylim=(0, 1))
        axes.legend()


def steps(figure, study):
    groups = where(study.rows, part="steps").groupby("setting")["fid"]
    for axes, label in panels(figure, ["fid after equal time"]):
        boxes(axes, dict(list(groups)))
        axes.set(ylabel=label)


def acceptance(figure, study):
    rows = where(study.rows, part="losses", after="equal steps")
    rows = rows[rows["setting"] != "published"]
    groups = list(rows.groupby(["arch", "setting"], sort=False))
    for axes, (key, at) in panels(figure, groups):
        for loss, of in at.groupby("loss", sort=False):
            axes.plot(of["acceptance"], of["fid"], "o", label=loss)
        axes.set(title=", ".join(key), xlabel="acceptance", ylabel="fid", xlim=(-0.05, 1.05))
        logarithmic(axes)
        axes.legend(fontsize="x-small")


def parzen(figure, study):
    for axes, label in panels(figure, ["Parzen log-likelihood, nats"]):
        by_images(axes, where(study.rows, part="parzen"), ["arch", "setting"], "parzen")
        axes.axhline(225, **LINE, label="the paper: 225")
        axes.set(ylabel=label, ylim=(0, 260))
        axes.legend()


def stacked(figure, study):
    labels = {"modes": "modes of 1,000", "class_kl": "KL, nats"}
    for axes, score in panels(figure, list(labels)):
        by_images(axes, where(study.rows, part="stacked"), ["loss", "setting"], score)
        axes.set(ylabel=labels[score])
    axes.axhline(999 / 52_000, **LINE, label="by chance")
    logarithmic(axes)
    axes.legend(fontsize="x-small")


def samples(figure, folder, seed):
    """Sample grids that the study left in a folder; those of one network share their latents."""
    figure.set_size_inches(9, 12)
    losses = ("minimax", "non_saturating", "lsgan")
    names = itertools.product(("mlp", "dcgan"), ("plain", "default"), losses)
    for axes, (arch, setting, loss) in zip(figure.subplots(4, 3).ravel(), names, strict=True):
        path = folder / f"losses-{arch}-{loss}-{setting}-{seed}-3000.png"
        axes.imshow(imread(path), cmap="gray", interpolation="nearest")
        axes.set_title(f"{arch}, {setting}: {loss}", fontsize="small")
        axes.axis("off")


# What they are drawn with


def panels(figure, items):
    """(axes, item) of each item, two beside each other."""
    columns, rows = min(len(items), 2), -(-len(items) // 2)
    figure.set_size_inches(5 * columns, 3.5 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for spare in axes[len(items) :]:
        spare.set_axis_off()
    return zip(axes, items, strict=False)


def boxes(axes, groups):
    """A box, and a dot for each value, of {name: values}; infinite ones are left out."""
    finite = {name: values[np.isfinite(values)] for name, values in groups.items()}
    axes.boxplot(list(finite.values()), tick_labels=list(finite), widths=0.5, showfliers=False)
    for i, values in enumerate(finite.values(), start=1):
        axes.plot([i] * len(values), values, "o", markersize=3, alpha=0.6)


def course(axes, rows, score, label):
    """The median over the seeds by step, within their range."""
    by_step = rows.groupby("step")[score]
    (line,) = axes.plot(by_step.median(), label=label)
    low, high = by_step.min(), by_step.max()
    axes.fill_between(low.index, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def by_images(axes, rows, names, score):
    """A line of scores for each combination of `names`."""
    for key, of in rows.groupby(names, sort=False):
        axes.plot(of["images"] / 1e6, of[score], "o-", markersize=3, label=", ".join(key))
    axes.set(xlabel="images, millions")


def logarithmic(axes):
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
