"""From the study's tables to what RESULTS.md and README.md say of the papers' claims.

python -m benchmarks.claims          writes their tables and the figures anew

A block of theirs from `<!-- study: NAME -->` to `<!-- end -->` is the text of a function in BLOCKS.
An interval holds the median of 95 % of 10,000 resamplings of the seeds (of five, that is their
range in effect). Two settings are compared seed by seed: equal seeds mean equal images and
latents, and equal first weights where the networks are the same.
"""

import csv
import math
import re
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "benchmarks" / "study.csv"
COURSES = ROOT / "benchmarks" / "study-courses.csv"
FIGURES = ROOT / "docs" / "study"
PAGES = ("RESULTS.md", "README.md")

RESAMPLINGS, FEWEST = 10_000, 5
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
        """{seed: value}; what diverged or could not be scored counts as infinite."""
        return {r["seed"]: r[name] for r in self}

    def distinct(self, *names):
        return list(dict.fromkeys(tuple(r[n] for n in names) for r in self))


def interval(values, statistic=np.median):
    """(statistic, low, high): the statistic over the first axis, and its bootstrap interval.

    Of fewer than five values there is none: NaN.
    """
    values = np.asarray(values, float)
    rng = np.random.default_rng(0)
    if len(values) < FEWEST:
        return float(statistic(values)), math.nan, math.nan
    index = rng.integers(len(values), size=[RESAMPLINGS, len(values)])
    low, high = np.percentile([statistic(values[i]) for i in index], [2.5, 97.5])
    return float(statistic(values)), float(low), float(high)


def shown(found, digits=3):
    value, low, high = (f"{x:.{digits}g}" for x in found)
    return value if low in (high, "nan") else f"{value} ({low} to {high})"


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
    return f"**{outcome}**"


def table(header, lines):
    return "\n".join(
        f"| {' | '.join(map(str, cells))} |" for cells in (header, ["---"] * len(header), *lines)
    )


# Blocks: each takes (rows of study.csv, rows of study-courses.csv)


def losses(rows, timed=False):
    """The runs of the losses at equal steps, or after equal time."""
    return Rows(r for r in rows.where(part="losses") if r["mark"].endswith("s") == timed)


def equal_steps(rows, _):
    names = ("fid", "kid", "precision", "recall", "modes", "noise", "parzen", "acceptance")
    return scores_table(losses(rows), names)


def equal_time(rows, _):
    return scores_table(losses(rows, timed=True), ("steps", "fid", "modes", "noise"))


def scores_table(rows, names):
    lines = []
    for key in rows.distinct("arch", "setting", "loss"):
        of = rows.where(**dict(zip(("arch", "setting", "loss"), key, strict=True)))
        cells = [shown(interval(list(of.values(name).values()))) for name in names]
        lines.append([*key, len(of), *cells])
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
            "collapsed",
            "",
        ],
        lines,
    )


def collapsed(rows):
    return f"{sum(not r['modes'] >= KINDS for r in rows)} of {len(rows)}"


def noise(rows, _):
    lines = []
    at = losses(rows)
    for setting, loss in at.distinct("setting", "loss"):
        of = {a: at.where(arch=a, setting=setting, loss=loss) for a in ("dcgan", "mlp")}
        ratio = compared(of["dcgan"], of["mlp"], "noise")
        if ratio:
            each = (shown(interval(list(of[a].values("noise").values()))) for a in of)
            lines.append([setting, loss, *each, shown(ratio), verdict(ratio, below=0.5)])
    return table(["setting", "loss", "`dcgan`", "`mlp`", "ratio", "below a half"], lines)


def gradients(_, courses):
    lines = []
    at = courses.where(part="gradients")
    for (arch,) in at.distinct("arch"):
        for first, last in ((20, 100), (20, 500)):
            means = {}
            for loss in ("non_saturating", "minimax"):
                of = Rows(r for r in at.where(arch=arch, loss=loss) if first <= r["step"] <= last)
                means[loss] = Rows(
                    {
                        "seed": seed,
                        "gradient": np.mean([r["gradient"] for r in of.where(seed=seed)]),
                        "lead": np.mean([r["d_real"] - r["d_fake"] for r in of.where(seed=seed)]),
                    }
                    for (seed,) in of.distinct("seed")
                )
            ratio = compared(means["non_saturating"], means["minimax"], "gradient")
            cells = [
                shown(interval(list(rows.values(name).values())))
                for name in ("gradient", "lead")
                for rows in means.values()
            ]
            lines.append([arch, f"1 to {last}", *cells, shown(ratio), verdict(ratio, above=2)])
    header = [
        "arch", "steps", "‖∇G‖ non_saturating", "minimax", "D's lead, non_saturating", "minimax",
        "ratio of ‖∇G‖", "above 2",
    ]  # fmt: skip
    return table(header, lines)


def half(_, courses):
    lines = []
    at = courses.where(part="half")
    for (setting,) in at.distinct("setting"):
        of = at.where(setting=setting)
        steps = sorted({r["step"] for r in of})
        cells = []
        for step in (steps[0], steps[len(steps) // 2], steps[-1]):
            here = of.where(step=step)
            d = [np.median(list(here.values(name).values())) for name in ("d_real", "d_fake")]
            cells.append(f"{d[0]:.2f}, {d[1]:.2f}")
        last = of.where(step=steps[-1])
        distance = interval([abs(r["d_real"] - 0.5) / 2 + abs(r["d_fake"] - 0.5) / 2 for r in last])
        lines.append([setting, len(last), *cells, shown(distance), verdict(distance, below=0.1)])
    steps = [f"{steps[i]:,.0f}" for i in (0, len(steps) // 2, -1)]
    return table(
        [
            "setting",
            "seeds",
            *(f"D(x), D(G(z)) by step {s}" for s in steps),
            "from 1/2",
            "below 0.1",
        ],
        lines,
    )


def steps(rows, _):
    lines = []
    at = rows.where(part="steps")
    for (setting,) in at.distinct("setting"):
        of = at.where(setting=setting)
        cells = [shown(interval(list(of.values(n).values()))) for n in ("steps", "fid", "modes")]
        if setting == "k = 1":
            lines.append([setting, len(of), *cells, "1", ""])
        else:
            ratio = compared(of, at.where(setting="k = 1"), "fid")
            lines.append([setting, len(of), *cells, shown(ratio), verdict(ratio, above=1)])
    return table(
        ["", "seeds", "steps", "`fid`", "`modes`", "ratio of `fid` to k = 1", "k = 1 is better"],
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


def acceptance(rows, _):
    at = losses(rows)
    groups = {"all runs": at}
    for arch, setting in at.distinct("arch", "setting"):
        groups[f"{arch}, {setting}"] = at.where(arch=arch, setting=setting)
    for (loss,) in at.distinct("loss"):
        groups[f"{loss}, all settings"] = at.where(loss=loss)
    lines = []
    for name, of in groups.items():
        pairs = [(r["acceptance"], r["fid"]) for r in of if np.isfinite(r["fid"])]
        if len(pairs) > 4:
            found = interval(pairs, spearman)
            lines.append([name, len(pairs), shown(found, 2), verdict(found, below=-0.5)])
    return table(["within", "runs", "rank correlation with `fid`", "below -0.5"], lines)


def parzen(rows, _):
    at = rows.where(part="parzen")
    settings = [s for (s,) in at.distinct("setting")]
    lines = []
    for (mark,) in at.distinct("mark"):
        of = at.where(mark=mark)
        cells = []
        for name in ("parzen", "fid"):
            found = {r["setting"]: r[name] for r in of}
            cells += [f"{found[s]:.3g}" for s in settings]
        lines.append([int(mark) // 500, *cells])
    header = ["epochs", *(f"`{n}`, {s}" for n in ("parzen", "fid") for s in settings)]
    return table(header, lines)


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


BLOCKS = {
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


def rendered(text, rows, courses):
    """The text of a page with its blocks made anew."""

    def block(match):
        return f"{match[1]}\n{BLOCKS[match[2]](rows, courses)}\n{match[3]}"

    pattern = r"(<!-- study: ([\w ]+) -->)\n.*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def write(table, courses, folder):
    """Renders the pages of this project into a folder."""
    rows, courses = Rows.read(table), Rows.read(courses)
    for page in PAGES:
        (folder / page).write_text(rendered((ROOT / page).read_text(), rows, courses))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [name]:
            print(BLOCKS[name](Rows.read(TABLE), Rows.read(COURSES)))
        case _:
            write(TABLE, COURSES, ROOT)
