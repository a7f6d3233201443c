"""The study's rows, and what is computed from them: intervals, ratios, rank correlations, verdicts.

An interval (value, low, high) is a statistic, and the range that it has in 95 % of 2,000
resamplings of the seeds.
"""

import dataclasses
import math
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from benchmarks.common import ROOT

FOLDER = ROOT / "benchmarks"
TABLE = "study.csv"  # a row for each run and moment of scoring
COURSES = "study-courses.csv"  # logs during some of the runs
KEY = ("part", "arch", "loss", "setting", "seed", "mark")
# Tables have the networks, settings and losses in this order; others follow as they come.
ORDER = (
    "equal steps", "equal time", "mlp", "dcgan", "maxout", "plain", "default", "published",
    "minimax", "non_saturating", "lsgan", "hinge", "wasserstein", "relativistic",
)  # fmt: skip
# The scores of a run that diverged, or whose samples can't be scored: the worst there are.
WORST = {
    "fid": math.inf, "kid": math.inf, "noise": math.inf, "parzen": -math.inf, "modes": 0.0,
    "acceptance": 0.0,
}  # fmt: skip
RESAMPLINGS, FEWEST = 2000, 5


class Study(NamedTuple):
    """The rows of study.csv, with the column `after`, and of study-courses.csv."""

    rows: pd.DataFrame
    courses: pd.DataFrame


def read(folder=FOLDER):
    types = dict.fromkeys(KEY, str)
    rows, courses = (pd.read_csv(folder / name, dtype=types) for name in (TABLE, COURSES))
    rows.loc[rows["fid"].isna(), [*WORST]] = [*WORST.values()]
    timed = rows["mark"].str.endswith("s")
    rows.insert(0, "after", timed.map({False: "equal steps", True: "equal time"}))
    rank = {name: i for i, name in enumerate(ORDER)}
    names = ["after", "arch", "setting", "loss"]
    return Study(rows.sort_values(names, key=lambda column: column.map(rank)), courses)


def where(rows, **values):
    """The rows with these values."""
    for name, value in values.items():
        rows = rows[rows[name] == value]
    return rows


def paired(a, b, on):
    """Rows of `a`, each beside that of `b` with the same seed and the same values `on`.

    Equal seeds mean equal images and latents, and equal first weights where the networks are
    equal. The columns of `b` end in _b.
    """
    return a.merge(b, on=["seed", *on], suffixes=("", "_b")).sort_values("seed", kind="stable")


def interval(values, statistic=np.median):
    """(value, low, high) of a statistic over the first axis; bounds are NaN below five values."""
    values = np.asarray(values, float)
    value = float(statistic(values, axis=0))
    if len(values) < FEWEST:
        return value, math.nan, math.nan
    index = np.random.default_rng(0).integers(len(values), size=[RESAMPLINGS, len(values)])
    resampled = statistic(values[index], axis=1)
    low, high = np.percentile(resampled, [2.5, 97.5], method="nearest")  # some may be infinite
    return value, float(low), float(high)


def correlation(rows, within=False):
    """The interval of the rank correlation of `acceptance` and `fid` over all rows.

    Rows that differ in the seed alone are resampled together. `within` them: the mean correlation.
    """
    cells = rows.groupby(["arch", "setting", "loss"], sort=False)
    pairs = np.stack([of[["acceptance", "fid"]] for _, of in cells])  # [cells, seeds, 2]
    if within:
        return interval([_spearman(cell, axis=0) for cell in pairs], np.mean)
    return interval(pairs, _spearman)


def _spearman(pairs, axis):
    """The rank correlation of [..., 2], of all of it or of each [i]; 0 where it is not defined."""
    pairs = pairs.reshape(*pairs.shape[:axis], -1, 2)
    if pairs.shape[axis] < 2:
        return np.zeros(pairs.shape[:axis])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.ConstantInputWarning)
        found = stats.spearmanrho(pairs[..., 0], pairs[..., 1], axis=-1)
    return np.nan_to_num(found.statistic)


@dataclasses.dataclass(frozen=True)
class Bound:
    """What a claim says of a number: "below", "above" or, of single runs, "at least" a value."""

    side: str
    value: float

    def __str__(self):
        return f"{self.side} {self.value:,g}"

    def verdict(self, measured):
        """'supported', 'undecided' or 'contradicted', from an interval."""
        value, low, high = measured
        if self.side == "at least":  # what a run has not reached, a longer one may
            return "supported" if value >= self.value else "undecided"
        below, above = high < self.value, low > self.value
        supported, contradicted = (below, above) if self.side == "below" else (above, below)
        return "supported" if supported else "contradicted" if contradicted else "undecided"


def shown(measured):
    """'value (low to high)', or the value alone if there is no interval; '-' for NaN."""
    if not isinstance(measured, tuple):
        return str(measured)
    value, low, high = (f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.3g}" for x in measured)
    if value == "nan":
        return "-"
    return value if low in (high, "nan") else f"{value} ({low} to {high})"
