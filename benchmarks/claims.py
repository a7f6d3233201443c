"""From the study's tables to what RESULTS.md and README.md say of the papers' claims.

python -m benchmarks.claims                       writes their tables and the figures anew
python -m benchmarks.claims BLOCK                 prints one table
python -m benchmarks.claims samples FOLDER SEED   draws the samples that the study left there

A block of theirs from `<!-- study: NAME -->` to `<!-- end -->` is the text of a function in BLOCKS.
An interval holds the median of 95 % of 2,000 resamplings of the seeds; of five seeds that is
their range, and a verdict then says that all of them agree. Two settings are compared seed by
seed: equal seeds mean equal images and latents, and equal first weights where the networks are
the same.
"""

import csv
import itertools
import math
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "benchmarks" / "study.csv"
COURSES = ROOT / "benchmarks" / "study-courses.csv"
PAGES = ("RESULTS.md", "README.md")

RESAMPLINGS, FEWEST = 2000, 5
ORDER = (
    "mlp", "dcgan", "maxout", "plain", "default", "published",
    "minimax", "non_saturating", "lsgan", "hinge", "wasserstein", "relativistic",
)  # fmt: skip
KINDS = 9  # of digits: fewer among 10,000 samples are a collapse


class Rows(list):
    """Rows of a table, dicts whose numbers are floats (NaN: not taken)."""

    TEXT = ("part", "arch", "loss", "setting", "seed", "mark")

    @classmethod
    def read(cls, path):
        with open(path, newline="") as file:
            return cls(
                {k: v if k in cls.TEXT else float(v or "nan") for k, v in row.items()}
                for row in csv.DictReader(file, restval="")
            )

    def where(self, **values):
        return Rows(r for r in self if all(r[k] == v for k, v in values.items()))

    def values(self, name):
        """{seed: value}; what diverged or could not be scored has the worst that there is."""
        worst = {"fid": np.inf, "kid": np.inf, "noise": np.inf, "parzen": -np.inf}
        worst |= {"modes": 0.0, "acceptance": 0.0}
        return {
            r["seed"]: np.float64(
                worst.get(name, r[name]) if math.isnan(r.get("fid", 0)) else r[name]
            )
            for r in self
        }

    def distinct(self, *names):
        return list(dict.fromkeys(tuple(r[n] for n in names) for r in self))

    def cells(self):
        """{(arch, setting, loss): the rows of its seeds}"""
        names = ("arch", "setting", "loss")
        return {
            key: self.where(**dict(zip(names, key, strict=True))) for key in self.distinct(*names)
        }


def interval(values, statistic=np.median):
    """(statistic, low, high): a statistic, as NumPy's take an axis, and its bootstrap interval.

    Of fewer than five values there is none: NaN.
    """
    values = np.asarray(values, float)
    rng = np.random.default_rng(0)
    value = float(statistic(values, axis=0))
    if len(values) < FEWEST:
        return value, math.nan, math.nan
    index = rng.integers(len(values), size=[RESAMPLINGS, len(values)])
    found = statistic(values[index], axis=1)
    low, high = np.percentile(found, [2.5, 97.5], method="nearest")  # some may be infinite
    return value, float(low), float(high)


def shown(found, digits=3):
    value, low, high = (f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.{digits}g}" for x in found)
    return value if low in (high, "nan") else f"{value} ({low} to {high})"


def middle(rows, name):
    return shown(interval(list(rows.values(name).values())))


def compared(one, other, name):
    """The interval of the ratio of `one` to `other`, seed by seed, and of how many seeds."""
    a, b = one.values(name), other.values(name)
    seeds = sorted(set(a) & set(b))
    return interval([a[s] / b[s] for s in seeds]) if seeds else None


def verdict(found, below=None, above=None):
    """Of a claim that a number is below (or above) a bound, from its interval."""
    _, low, high = found
    if below is not None:
        outcome = "supported" if high < below else "contradicted" if low > below else "undecided"
    else:
        outcome = "supported" if low > above else "contradicted" if high < above else "undecided"
    return outcome


def table(header, lines):
    return "\n".join(
        f"| {' | '.join(map(str, cells))} |" for cells in (header, ["---"] * len(header), *lines)
    )


# Blocks: each takes (rows of study.csv, rows of study-courses.csv)


def losses(rows, timed=False):
    """The runs of the losses at equal steps, or after equal time, from the first papers on."""
    at = [r for r in rows.where(part="losses") if r["mark"].endswith("s") == timed]
    return Rows(sorted(at, key=lambda r: [ORDER.index(r[n]) for n in ("arch", "setting", "loss")]))


def equal_steps(rows, _):
    names = ("fid", "kid", "precision", "recall", "modes", "noise", "parzen", "acceptance")
    return scores_table(losses(rows), names)


def equal_time(rows, _):
    return scores_table(losses(rows, timed=True), ("steps", "fid", "modes", "noise"))


def scores_table(rows, names):
    lines = []
    for key, of in rows.cells().items():
        lines.append([*key, len(of), *(middle(of, name) for name in names)])
    return table(["arch", "setting", "loss", "seeds", *(f"`{n}`" for n in names)], lines)


def least_squares(rows, _):
    lines = []
    for timed in (False, True):
        at = losses(rows, timed)
        for arch, setting in at.distinct("arch", "setting"):
            of = {
                loss: at.where(arch=arch, setting=setting, loss=loss)
                for loss in ("minimax", "non_saturating", "lsgan")
            }
            for other in ("minimax", "non_saturating"):
                ratio = compared(of["lsgan"], of[other], "fid")
                kernel = None if timed else compared(of["lsgan"], of[other], "kid")
                if ratio:
                    lines.append(
                        [
                            arch,
                            setting,
                            "equal time" if timed else "equal steps",
                            other,
                            shown(ratio),
                            shown(kernel) if kernel else "-",
                            shown(compared(of["lsgan"], of[other], "steps")),
                            f"{collapsed(of['lsgan'])} : {collapsed(of[other])}",
                            verdict(ratio, below=1),
                        ]
                    )
    return table(
        [
            "arch",
            "setting",
            "after",
            "lsgan against",
            "ratio of `fid`",
            "of `kid`",
            "of steps",
            "fewer than nine classes",
            "better: below 1",
        ],
        lines,
    )


def collapsed(rows):
    return f"{sum(not r['modes'] >= KINDS for r in rows)} of {len(rows)}"


def noise(rows, _):
    lines = []
    for timed in (False, True):
        cells = losses(rows, timed).cells()
        for (arch, setting, loss), (other, dcgan_setting, same) in itertools.product(cells, cells):
            if arch == "dcgan" or other != "dcgan" or same != loss:
                continue
            # maxout's published setting has no counterpart: it stands against both.
            if dcgan_setting != setting and arch != "maxout":
                continue
            both = cells[other, dcgan_setting, loss], cells[arch, setting, loss]
            ratio = compared(*both, "noise")
            if ratio:
                after = "equal time" if timed else "equal steps"
                names = f"dcgan, {dcgan_setting}", f"{arch}, {setting}"
                noises = (middle(of, "noise") for of in both)
                outcome = verdict(ratio, below=0.5)
                lines.append([after, loss, *names, *noises, shown(ratio), outcome])
    header = [
        "after", "loss", "a", "b", "`noise` of a", "of b", "ratio", "much less: below 1/2",
    ]  # fmt: skip
    return table(header, lines)


def early(courses, arch, last):
    """{loss: rows of each seed's mean gradient and mean lead of D} of the steps up to `last`."""
    at = Rows(r for r in courses.where(part="gradients", arch=arch) if r["step"] <= last)
    return {
        loss: Rows(
            {
                "seed": seed,
                "gradient": np.mean([r["gradient"] for r in at.where(loss=loss, seed=seed)]),
                "lead": np.mean(
                    [r["d_real"] - r["d_fake"] for r in at.where(loss=loss, seed=seed)]
                ),
            }
            for (seed,) in at.where(loss=loss).distinct("seed")
        )
        for loss in ("non_saturating", "minimax")
    }


def gradients(_, courses):
    lines = []
    for (arch,) in courses.where(part="gradients").distinct("arch"):
        for last in (100, 500):
            of = early(courses, arch, last)
            ratio = compared(*of.values(), "gradient")
            if ratio:
                cells = [middle(rows, n) for n in ("gradient", "lead") for rows in of.values()]
                lines.append([arch, f"1 to {last}", *cells, shown(ratio), verdict(ratio, above=2)])
    header = [
        "arch", "steps", "‖∇G‖ non_saturating", "minimax", "D's lead, non_saturating", "minimax",
        "ratio of ‖∇G‖", "above 2",
    ]  # fmt: skip
    return table(header, lines)


def from_half(courses, setting):
    """The interval of how far D(x) and D(G(z)) are from where they should be, at each run's end.

    That is 1/2, and 0.45 where the target of real images is 0.9.
    """
    aim = 0.45 if setting == "label smoothing" else 0.5
    at = courses.where(part="half", setting=setting)
    last = at.where(step=max(r["step"] for r in at))
    return interval([abs(r["d_real"] - aim) / 2 + abs(r["d_fake"] - aim) / 2 for r in last])


def half(rows, courses):
    lines = []
    at = courses.where(part="half")
    ends = sorted({r["step"] for r in at})
    ends = [ends[i] for i in (0, len(ends) // 2, -1)] if ends else []
    for (setting,) in at.distinct("setting"):
        cells = []
        for step in ends:
            here = at.where(setting=setting, step=step)
            d = [np.median(list(here.values(name).values())) for name in ("d_real", "d_fake")]
            cells.append(f"{d[0]:.2f}, {d[1]:.2f}")
        distance = from_half(courses, setting)
        outcome = verdict(distance, below=0.1)
        fid = middle(rows.where(part="half", setting=setting), "fid")
        lines.append([setting, len(here), *cells, shown(distance), outcome, fid])
    header = (f"D(x), D(G(z)) by step {step:,.0f}" for step in ends)
    return table(["setting", "seeds", *header, "distance", "below 0.1", "`fid`"], lines)


def steps(rows, _):
    lines = []
    at = rows.where(part="steps")
    for (setting,) in at.distinct("setting"):
        of = at.where(setting=setting)
        cells = [middle(of, n) for n in ("steps", "fid", "modes")]
        if setting == "k = 1":
            lines.append([setting[4:], len(of), *cells, "1", ""])
        else:
            ratio = compared(of, at.where(setting="k = 1"), "fid")
            lines.append([setting[4:], len(of), *cells, shown(ratio), verdict(ratio, above=1)])
    return table(
        ["k", "seeds", "steps", "`fid`", "`modes`", "ratio of `fid` to k = 1", "worse: above 1"],
        lines,
    )


def ranks(values):
    """From 0; equal values share the mean of their ranks."""
    values = np.asarray(values)
    below = (values[:, np.newaxis] > values).sum(axis=1)
    equal = (values[:, np.newaxis] == values).sum(axis=1)
    return below + (equal - 1) / 2


def spearman(pairs):
    """The rank correlation of the two columns of an array [n, 2]; 0 where one is constant."""
    x, y = (ranks(column) - (len(pairs) - 1) / 2 for column in np.transpose(pairs))
    norm = np.sqrt(np.sum(x**2) * np.sum(y**2))
    return float(np.sum(x * y) / norm) if norm else 0.0


def acceptance_and_distance(rows):
    """[[acceptance, fid] of each seed] of each network, setting and loss."""
    return np.array(
        [
            np.transpose([list(of.values(n).values()) for n in ("acceptance", "fid")])
            for of in rows.cells().values()
        ]
    )


def over_all(cells, axis=0):
    """`spearman` of all runs of [cells, seeds, 2]; axis=1: of each such array in a stack."""
    return [over_all(x) for x in cells] if axis else spearman(cells.reshape(-1, 2))


def within_each(cells, axis=0):
    """The mean of each cell's `spearman`, likewise."""
    return [within_each(x) for x in cells] if axis else np.mean([spearman(x) for x in cells])


def acceptance(rows, _):
    at = losses(rows)
    critics = ("wasserstein", "relativistic")
    groups = {
        "all": (at, over_all),
        "all but wasserstein and relativistic": (
            Rows(r for r in at if r["loss"] not in critics), over_all,
        ),
        "the seeds of one row above, mean": (at, within_each),
    }  # fmt: skip
    for arch, setting in compared_settings(at):
        groups[f"{arch}, {setting}"] = (at.where(arch=arch, setting=setting), over_all)
    for (loss,) in at.distinct("loss"):
        groups[loss] = (at.where(loss=loss), over_all)
    lines = []
    for name, (of, statistic) in groups.items():
        # Runs that differ in the seed alone are not independent: whole rows are resampled.
        found = interval(acceptance_and_distance(of), statistic)
        lines.append([name, len(of), shown(found, 2), verdict(found, below=-0.5)])
    return table(["over", "runs", "rank correlation with `fid`", "measures: below -1/2"], lines)


def parzen(rows, _):
    at = rows.where(part="parzen")
    settings = at.distinct("arch", "setting")
    lines = []
    for images in sorted({r["images"] for r in at}):
        found = {(r["arch"], r["setting"]): r for r in at.where(images=images)}
        cells = [
            f"{found[key][name]:.3g}" if key in found else "-"
            for name in ("parzen", "fid")
            for key in settings
        ]
        lines.append([f"{images / 1e6:.2f}", *cells])
    header = [f"`{name}`: {', '.join(key)}" for name in ("parzen", "fid") for key in settings]
    return table(["images, millions", *header], lines)


def windows(rows, _):
    lines = [
        [r["setting"], *(f"{r[n]:.3g}" for n in ("parzen", "fid", "precision", "noise"))]
        for r in rows.where(part="windows")
    ]
    return table(["10,000 images", "`parzen`", "`fid`", "`precision`", "`noise`"], lines)


def stacked(rows, _):
    lines = [
        [
            r["setting"],
            r["loss"],
            f"{r['images'] / 1e6:.2f}",
            f"{r['modes']:,.0f}",
            f"{r['class_kl']:.3g}",
            f"{r['fid']:.3g}",
        ]
        for r in rows.where(part="stacked")
    ]
    header = ["setting", "loss", "images, millions", "modes of 1,000", "KL, nats", "`fid`"]
    return table(header, lines)


def summary(rows, courses):
    """A line for each claim, with what was measured where below the verdict."""
    at = losses(rows)
    found = []  # (claim, measure, where, measured, verdict)

    def add(claim, measure, where, measured, **bounds):
        if measured:
            found.append((claim, measure, where, shown(measured), verdict(measured, **bounds)))

    def of(arch, setting, loss):
        return at.where(arch=arch, setting=setting, loss=loss)

    for other in ("minimax", "non_saturating"):
        claim = f"LSGAN's images are better than those of the GAN loss, {other}"
        for arch, setting in at.distinct("arch", "setting"):
            ratio = compared(of(arch, setting, "lsgan"), of(arch, setting, other), "fid")
            add(claim, "ratio of `fid`, 3,000 steps", f"{arch}, {setting}", ratio, below=1)
    claim = "DCGAN's output has much less noise than the simple GAN's"
    for simple in (("mlp", "plain"), ("mlp", "default"), ("maxout", "published")):
        for setting in ("plain", "default"):
            if setting == simple[1] or simple[0] == "maxout":
                dcgan = of("dcgan", setting, "non_saturating")
                ratio = compared(dcgan, of(*simple, "non_saturating"), "noise")
                where = f"dcgan, {setting}, to {', '.join(simple)}"
                add(claim, "ratio of `noise`, 3,000 steps", where, ratio, below=0.5)
    claim = "The non-saturating loss has much stronger gradients early on"
    for arch in ("mlp", "dcgan"):
        for last in (100, 500):
            ratio = compared(*early(courses, arch, last).values(), "gradient")
            add(claim, "ratio of norms", f"{arch}, steps 1 to {last}", ratio, above=2)
    for (setting,) in courses.where(part="half").distinct("setting"):
        distance = from_half(courses, setting)
        claim = "D(x) and D(G(z)) tend to 1/2"
        add(claim, "distance, 4,000 steps", f"mlp, {setting}", distance, below=0.1)
    k = rows.where(part="steps")
    for (setting,) in k.distinct("setting")[1:]:
        ratio = compared(k.where(setting=setting), k.where(setting="k = 1"), "fid")
        claim = "One step of D is enough: more are worse at equal compute"
        add(claim, "ratio of `fid`", f"mlp, {setting}", ratio, above=1)
    claim = "Acceptance by its own D measures a generator's quality"
    correlation = interval(acceptance_and_distance(at), over_all)
    add(claim, "rank correlation", "all runs", correlation, below=-0.5)
    claim = "Adversarial nets reach a Parzen likelihood of 225"
    for arch, setting in rows.where(part="parzen").distinct("arch", "setting"):
        last = rows.where(part="parzen", arch=arch, setting=setting)[-1]
        measured = f"{last['parzen']:.0f} after {last['images'] / 1e6:.1f} million images"
        outcome = "supported" if last["parzen"] >= 225 else "undecided"
        found.append((claim, "nats, one run", f"{arch}, {setting}", measured, outcome))
    claim = "A GAN finds all 1,000 modes of stacked MNIST"
    for (setting,) in rows.where(part="stacked").distinct("setting"):
        best = max(
            rows.where(part="stacked", setting=setting),
            key=lambda r: (np.nan_to_num(r["modes"]), -np.nan_to_num(r["class_kl"], nan=np.inf)),
        )
        measured = (
            f"{best['modes']:,.0f}, KL {best['class_kl']:.3g}, "
            f"after {best['images'] / 1e6:.1f} million images"
        )
        outcome = "supported" if best["modes"] == 1000 else "undecided"
        where = f"dcgan, {setting}, {best['loss']}"
        found.append((claim, "modes of the best loss, one run", where, measured, outcome))
    verdicts = ("supported", "undecided", "contradicted")
    lines = []
    for claim, measure in dict.fromkeys(f[:2] for f in found):
        cells = [
            "<br>".join(f"{f[2]}: {f[3]}" for f in found if f[0] == claim and f[-1] == outcome)
            for outcome in verdicts
        ]
        lines.append([f"{claim} ({measure})", *cells])
    return table(["Claim (and measure)", *verdicts], lines)


BLOCKS = {
    "claims": summary,
    "equal steps": equal_steps,
    "equal time": equal_time,
    "lsgan": least_squares,
    "noise": noise,
    "gradients": gradients,
    "half": half,
    "k": steps,
    "acceptance": acceptance,
    "parzen": parzen,
    "windows": windows,
    "stacked": stacked,
}


# Figures: each takes a matplotlib Figure, and the rows as the blocks do


def boxes(axes, groups, label):
    """A box and a dot for each value, of {name: values}."""
    finite = {name: [v for v in values if np.isfinite(v)] for name, values in groups.items()}
    if not finite:
        return
    axes.boxplot(list(finite.values()), tick_labels=list(finite), widths=0.5, showfliers=False)
    for i, values in enumerate(finite.values()):
        axes.plot([i + 1] * len(values), values, "o", markersize=3, alpha=0.6)
    axes.set_ylabel(label)
    axes.tick_params(axis="x", rotation=30)


def compared_settings(rows):
    """(arch, setting) of which several losses were trained."""
    settings = rows.distinct("arch", "setting")
    return [(a, s) for a, s in settings if len(rows.where(arch=a, setting=s).distinct("loss")) > 1]


def draw_losses(figure, rows, _):
    at = losses(rows)
    settings = compared_settings(at)
    for axes, (arch, setting) in zip(panels(figure, len(settings)), settings, strict=True):
        of = at.where(arch=arch, setting=setting)
        boxes(
            axes,
            {n: of.where(loss=n).values("fid").values() for (n,) in of.distinct("loss")},
            "fid",
        )
        axes.set(yscale="log", title=f"{arch}, {setting}")
        plain_ticks(axes.yaxis)


def draw_noise(figure, rows, _):
    at = losses(rows)
    published = at.where(setting="published")
    settings = [setting for setting in at.distinct("setting") if setting != ("published",)]
    for axes, (setting,) in zip(panels(figure, len(settings)), settings, strict=True):
        of = Rows(at.where(setting=setting) + published)
        groups = sorted(of.distinct("loss", "arch"), key=lambda x: ORDER.index(x[0]))
        boxes(
            axes,
            {f"{a} {n}": of.where(arch=a, loss=n).values("noise").values() for n, a in groups},
            "noise (real images: 1)",
        )
        axes.axhline(1, color="grey", linewidth=0.8, linestyle=":")
        axes.set(title=f"{setting} (maxout: published)", yscale="log")
        plain_ticks(axes.yaxis)
        axes.tick_params(axis="x", rotation=90)


def draw_gradients(figure, _, courses):
    at = courses.where(part="gradients")
    archs = at.distinct("arch")
    for axes, (arch,) in zip(panels(figure, len(archs)), archs, strict=True):
        for (loss,) in at.distinct("loss"):
            course(axes, at.where(arch=arch, loss=loss), "gradient", loss)
        axes.set(title=arch, xlabel="step", ylabel="norm of the generator's gradient", yscale="log")
        plain_ticks(axes.yaxis)
        axes.legend()


def draw_half(figure, _, courses):
    at = courses.where(part="half")
    settings = at.distinct("setting")
    for axes, (setting,) in zip(panels(figure, len(settings)), settings, strict=True):
        for name, label in (("d_real", "D(x)"), ("d_fake", "D(G(z))")):
            course(axes, at.where(setting=setting), name, label)
        axes.axhline(0.5, color="grey", linewidth=0.8, linestyle=":")
        axes.set(title=setting, xlabel="step", ylim=(0, 1))
        axes.legend()


def draw_k(figure, rows, _):
    at = rows.where(part="steps")
    groups = {n: at.where(setting=n).values("fid").values() for (n,) in at.distinct("setting")}
    boxes(panels(figure, 1)[0], groups, "fid after equal time")


def draw_acceptance(figure, rows, _):
    at = losses(rows)
    settings = compared_settings(at)
    for axes, (arch, setting) in zip(panels(figure, len(settings)), settings, strict=True):
        of = at.where(arch=arch, setting=setting)
        for (loss,) in of.distinct("loss"):
            some = of.where(loss=loss)
            axes.plot([r["acceptance"] for r in some], [r["fid"] for r in some], "o", label=loss)
        axes.set(
            title=f"{arch}, {setting}",
            xlabel="acceptance",
            ylabel="fid",
            yscale="log",
            xlim=(-0.05, 1.05),
        )
        plain_ticks(axes.yaxis)
        axes.legend(fontsize="x-small")


def draw_parzen(figure, rows, _):
    at = rows.where(part="parzen")
    axes = panels(figure, 1)[0]
    for arch, setting in at.distinct("arch", "setting"):
        points = [(r["images"] / 1e6, r["parzen"]) for r in at.where(arch=arch, setting=setting)]
        axes.plot(*zip(*points, strict=True), "o-", markersize=3, label=f"{arch}, {setting}")
    axes.axhline(225, color="grey", linewidth=0.8, linestyle=":", label="the paper: 225")
    axes.set(xlabel="images, millions", ylabel="Parzen log-likelihood, nats", ylim=(0, 260))
    axes.legend()


def draw_stacked(figure, rows, _):
    at = rows.where(part="stacked")
    left, right = panels(figure, 2)
    for setting, loss in at.distinct("setting", "loss"):
        of = at.where(setting=setting, loss=loss)
        for axes, name in ((left, "modes"), (right, "class_kl")):
            points = [(r["images"] / 1e6, r[name]) for r in of]
            axes.plot(*zip(*points, strict=True), "o-", label=f"{loss}, {setting}")
    left.set(xlabel="images, millions", ylabel="modes of 1,000")
    right.set(xlabel="images, millions", ylabel="KL, nats", yscale="log")
    right.axhline(999 / 52_000, color="grey", linewidth=0.8, linestyle=":", label="by chance")
    plain_ticks(right.yaxis)
    right.legend(fontsize="x-small")


def course(axes, rows, name, label):
    """The median over the seeds, within its range."""
    steps = sorted({r["step"] for r in rows})
    values = [list(rows.where(step=s).values(name).values()) for s in steps]
    (line,) = axes.plot(steps, [np.median(v) for v in values], label=label)
    low, high = ([f(v) for v in values] for f in (min, max))
    axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def panels(figure, count):
    """Axes beside each other, two in a row."""
    wide, high = max(1, min(count, 2)), max(1, -(-count // 2))
    figure.set_size_inches(5 * wide, 3.5 * high)
    axes = figure.subplots(high, wide, squeeze=False).ravel()
    for spare in axes[count:]:
        spare.set_axis_off()
    return axes[:count]


def plain_ticks(axis):
    from matplotlib.ticker import LogLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def draw_samples(figure, folder, seed):
    """Samples of each network and loss, those of one arch from the same latents."""
    from matplotlib.image import imread

    names = [
        (f"{arch}, {setting}", loss, folder / f"losses-{arch}-{loss}-{setting}-{seed}-3000.png")
        for arch in ("mlp", "dcgan")
        for setting in ("plain", "default")
        for loss in ("minimax", "non_saturating", "lsgan")
    ]
    figure.set_size_inches(9, 12)
    for axes, (title, loss, path) in zip(figure.subplots(4, 3).ravel(), names, strict=True):
        axes.imshow(imread(path), cmap="gray", interpolation="nearest")
        axes.set_title(f"{title}: {loss}", fontsize="small")
        axes.axis("off")


FIGURES = {
    "losses": draw_losses,
    "noise": draw_noise,
    "gradients": draw_gradients,
    "half": draw_half,
    "k": draw_k,
    "acceptance": draw_acceptance,
    "parzen": draw_parzen,
    "stacked": draw_stacked,
}


# Pages


def rendered(text, rows, courses):
    """The text of a page with its blocks made anew."""

    def block(match):
        return f"{match[1]}\n{BLOCKS[match[2]](rows, courses)}\n{match[3]}"

    pattern = r"(<!-- study: ([\w ]+) -->)\n.*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def write(table, courses, folder):
    """Renders the pages of this project, and draws the figures, into a folder."""
    from matplotlib.figure import Figure

    rows, courses = Rows.read(table), Rows.read(courses)
    for page in PAGES:
        (folder / page).write_text(rendered((ROOT / page).read_text(), rows, courses))
    (folder / "docs/study").mkdir(parents=True, exist_ok=True)
    for name, draw in FIGURES.items():
        figure = Figure(layout="constrained")
        draw(figure, rows, courses)
        figure.savefig(folder / f"docs/study/{name}.png")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["samples", folder, seed]:
            from matplotlib.figure import Figure

            figure = Figure(layout="constrained")
            draw_samples(figure, Path(folder), seed)
            figure.savefig(ROOT / "docs/study/samples.png")
        case [name]:
            print(BLOCKS[name](Rows.read(TABLE), Rows.read(COURSES)))
        case _:
            write(TABLE, COURSES, ROOT)
