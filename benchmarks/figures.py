"""The figures of docs/claims.md, on a matplotlib Figure."""

from matplotlib.ticker import LogLocator

from benchmarks.tables import where

LINE = {"color": "grey", "linewidth": 0.8, "linestyle": ":"}


def intervals(figure, claim, study):
    """The value of each case with its interval, and the bound."""
    cases = {", ".join(labels): value for labels, _, value in claim.cases(study)}
    figure.set_size_inches(8, 1 + 0.25 * len(cases))
    axes = figure.subplots()
    for i, (value, low, high) in enumerate(cases.values()):
        axes.plot([low, high], [i, i], color="C0", linewidth=3, alpha=0.4)
        axes.plot(value, i, "o", color="C0", markersize=4)
    axes.axvline(claim.bound.value, **LINE)
    axes.set_yticks(range(len(cases)), list(cases))
    measure = claim.measure[0].replace("`", "")
    axes.set(ylim=(len(cases) - 0.5, -0.5), xlabel=f"{measure} (supported: {claim.bound})")


def gradients(figure, _, study):
    rows = where(study.courses, part="gradients")
    for axes, arch in panels(figure, rows["arch"].unique()):
        for loss, of in where(rows, arch=arch).groupby("loss"):
            course(axes, of, "step", "gradient", loss)
        axes.set(title=arch, ylabel="norm of the generator's gradient")
        logarithmic(axes)


def half(figure, _, study):
    rows = where(study.courses, part="half")
    for axes, setting in panels(figure, rows["setting"].unique()):
        course(axes, where(rows, setting=setting), "step", "d_real", "D(x)")
        course(axes, where(rows, setting=setting), "step", "d_fake", "D(G(z))")
        axes.axhline(0.5, **LINE)
        axes.set(title=setting, ylim=(0, 1))


def parzen(figure, _, study):
    ((axes, label),) = panels(figure, ["Parzen log-likelihood, nats"])
    for key, of in where(study.rows, part="parzen").groupby(["arch", "setting"], sort=False):
        course(axes, of, "images", "parzen", ", ".join(key))
    axes.axhline(225, **LINE)
    axes.set(ylabel=label, ylim=(0, 260))


def stacked(figure, _, study):
    rows = where(study.rows, part="stacked")
    labels = {"modes": "modes of 1,000", "class_kl": "KL, nats (dotted: by chance)"}
    for axes, score in panels(figure, list(labels)):
        for key, of in rows.groupby(["loss", "setting"], sort=False):
            course(axes, of, "images", score, ", ".join(key))
        axes.set(ylabel=labels[score])
        axes.legend(fontsize="xx-small")
    axes.axhline(999 / 52_000, **LINE)
    logarithmic(axes)


def panels(figure, items):
    """(axes, item) of each item, two beside each other."""
    columns, rows = min(len(items), 2), -(-len(items) // 2)
    figure.set_size_inches(5 * columns, 3.5 * rows)
    return zip(figure.subplots(rows, columns, squeeze=False).flat, items, strict=False)


def course(axes, rows, x, y, label):
    """The median over the seeds, within their range."""
    groups = rows.groupby(x)[y]
    middle, low, high = groups.median(), groups.min(), groups.max()
    (line,) = axes.plot(middle, "o-", markersize=2, label=label)
    axes.fill_between(middle.index, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel=x)
    axes.legend()


def logarithmic(axes):
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
