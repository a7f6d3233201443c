"""The papers' claims, and the tables and figures made from the study's rows.

`python -m benchmarks.claims` writes the figures and the BLOCKS of docs/claims.md and README.md: the
lines from `<!-- study: NAME -->` to `<!-- end -->`, where NAME is often that of a claim.
"""

import collections
import dataclasses
import math
import re
from collections.abc import Callable

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import figures, tables
from benchmarks.common import ROOT, markdown
from benchmarks.tables import Bound, interval, paired, shown, where

PAGES = ("docs/claims.md", "README.md")
FIGURES = "docs/study"
CLASSES = 9  # of the ten digits: fewer among 10,000 samples count as a collapse


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, the rows it is measured on, the measure, and the bound that decides."""

    name: str  # of its block and its figure
    text: str  # with its source
    question: str
    rows: Callable  # Study -> a data frame
    by: list  # columns: rows that agree in them are a case, and a line of the table
    measure: tuple  # its name, and a function: the rows of a case -> (value, low, high)
    bound: Bound
    also: list  # what else the table has, likewise
    number: tuple[str, str]  # a case in the summary, and what README.md says of its value
    summary: dict = dataclasses.field(default_factory=dict)  # the rows that the summary takes
    draw: Callable = figures.intervals  # (figure, the claim, Study)

    def cases(self, study, **only):
        """(labels, rows, value) of each case."""
        _, measure = self.measure
        for labels, of in where(self.rows(study), **only).groupby(self.by, sort=False):
            yield labels, of, measure(of)

    def main_cases(self, study):
        """{name: value} of the cases in the summary."""
        names = [i for i, column in enumerate(self.by) if column not in self.summary]
        return {
            ", ".join(labels[i] for i in names): value
            for labels, _, value in self.cases(study, **self.summary)
        }

    def verdict(self, study):
        """One for all cases in the summary; of single runs the best one decides."""
        verdicts = [self.bound.verdict(value) for value in self.main_cases(study).values()]
        if self.bound.side == "at least" and "supported" in verdicts:
            return "supported"
        word, count = collections.Counter(verdicts).most_common(1)[0]
        return word if count == len(verdicts) else f"{word} in {count} of {len(verdicts)}"

    def block(self, study):
        """The question, the table, and the figure."""
        rows = []
        for labels, of, value in self.cases(study):
            rows.append(dict(zip(self.by, labels, strict=True)))
            rows[-1][self.measure[0]] = shown(value)
            for name, measure in self.also:
                rows[-1][name] = shown(measure(of))
            rows[-1][str(self.bound)] = self.bound.verdict(value)
        return f"**{self.question}**\n\n{markdown(rows)}\n\n![{self.text}](study/{self.name}.png)"


# The rows that the claims are measured on


def lsgan_beside_others(study):
    rows = where(study.rows, part="losses")
    others = rows[rows["loss"].isin(["minimax", "non_saturating"])]
    pairs = paired(where(rows, loss="lsgan"), others, on=["after", "arch", "setting"])
    return pairs.rename(columns={"loss_b": "against"})


def dcgan_beside_others(study):
    """In the same setting; maxout's published one stands beside both of dcgan's."""
    rows = where(study.rows, part="losses")
    pairs = paired(where(rows, arch="dcgan"), rows[rows["arch"] != "dcgan"], on=["after", "loss"])
    pairs["a"] = pairs["arch"] + " " + pairs["setting"]
    pairs["b"] = pairs["arch_b"] + " " + pairs["setting_b"]
    return pairs[(pairs["setting_b"] == pairs["setting"]) | (pairs["arch_b"] == "maxout")]


def early_gradients(study):
    """Means over the first 100 and the first 500 steps; `lead` is D(x) - D(G(z))."""
    at = where(study.courses, part="gradients")
    at = at.assign(lead=at["d_real"] - at["d_fake"])
    early = pd.concat([at[at["step"] <= n].assign(steps=f"1 to {n}") for n in (100, 500)])
    names = ["arch", "steps", "loss", "seed"]
    means = early.groupby(names, sort=False, as_index=False)[["gradient", "lead"]].mean()
    ours, others = (where(means, loss=loss) for loss in ("non_saturating", "minimax"))
    return paired(ours, others, on=["arch", "steps"])


def ends_of_half(study):
    """The last rows of each course, with the `fid` and the mean distance of both from 1/2."""
    at = where(study.courses, part="half")
    last = where(at, step=at["step"].max())
    aim = last["setting"].map({"label smoothing": 0.9 / 2}).fillna(1 / 2)
    distance = (abs(last["d_real"] - aim) + abs(last["d_fake"] - aim)) / 2
    fid = where(study.rows, part="half")[["setting", "seed", "fid"]]
    return last.assign(distance=distance).merge(fid, on=["setting", "seed"])


def more_steps_beside_one(study):
    rows = where(study.rows, part="steps")
    one = where(rows, setting="k = 1")
    return paired(rows.drop(one.index), one, on=[])


def groups_of_losses(study):
    """All runs at equal steps, and parts of them; `over` names the group."""
    rows = where(study.rows, part="losses", after="equal steps")
    critics = rows["loss"].isin(["wasserstein", "relativistic"])
    names = rows["arch"] + ", " + rows["setting"]
    groups = [
        rows.assign(over="all runs", main=True),
        rows[~critics].assign(over="all but wasserstein and relativistic"),
        rows.assign(over=WITHIN),
        rows.assign(over=names)[rows["setting"] != "published"],
        rows.assign(over=rows["loss"]),
    ]
    return pd.concat(groups)


WITHIN = "the seeds of one network, setting and loss; mean"


def ends_of_parzen(study):
    rows = with_millions(where(study.rows, part="parzen"))
    return rows.drop_duplicates(["arch", "setting"], keep="last")


def stacked_runs(study):
    """`best`: of each setting the most modes, and of equal ones the least divergence."""
    rows = with_millions(where(study.rows, part="stacked"))
    ranked = rows.sort_values(["modes", "class_kl"], ascending=[False, True])
    return rows.assign(best=rows.index.isin(ranked.drop_duplicates("setting").index))


def with_millions(rows):
    return rows.assign(after=(rows["images"] / 1e6).map("{:.2f} million images".format))


# Measures: a name, and a function of the rows of a case


def ratio(score, name=None):
    """Of `paired` rows: `a` divided by `b`."""
    return name or f"ratio of `{score}`", lambda of: interval(of[score] / of[f"{score}_b"])


def median(score, name=None):
    return name or f"`{score}`", lambda of: interval(of[score])


def medians(score, a, b):
    """Of `paired` rows: their names, and the medians of either."""
    return [median(score, a), median(f"{score}_b", b)]


def collapsed(a, b):
    return [
        (a, lambda of: sum(of["modes"] < CLASSES)),
        (b, lambda of: sum(of["modes_b"] < CLASSES)),
    ]


def correlation(name):
    return name, lambda of: tables.correlation(of, within=(of["over"] == WITHIN).all())


CLAIMS = [
    Claim(
        name="lsgan",
        text="LSGAN beats the GAN loss (Mao et al. 2017)",
        question="Is the Fréchet distance with `lsgan` smaller than with the GAN loss?",
        rows=lsgan_beside_others,
        by=["after", "arch", "setting", "against"],
        measure=ratio("fid"),
        bound=Bound("below", 1),
        also=[ratio("kid"), ratio("steps"), *collapsed("collapsed", "others")],
        number=("dcgan, plain, non_saturating", "`fid` ratio {} (`dcgan`)"),
        summary={"after": "equal steps"},
    ),
    Claim(
        name="noise",
        text="DCGAN has much less noise than the simple GAN (often said)",
        question="Do samples of `dcgan` have less than half the noise of `mlp`'s and `maxout`'s?",
        rows=dcgan_beside_others,
        by=["after", "loss", "a", "b"],
        measure=ratio("noise"),
        bound=Bound("below", 0.5),
        also=medians("noise", "`noise` of a", "of b"),
        number=("dcgan plain, maxout published", "{} of that of `maxout`"),
        summary={"after": "equal steps", "loss": "non_saturating"},
    ),
    Claim(
        name="gradients",
        text="Non-saturating gradients start much stronger (Goodfellow et al. 2014)",
        question="Is the generator's gradient more than twice as large as with `minimax`?",
        rows=early_gradients,
        by=["arch", "steps"],
        measure=ratio("gradient", "ratio of ‖∇G‖"),
        bound=Bound("above", 2),
        also=[
            *medians("gradient", "‖∇G‖ non_saturating", "‖∇G‖ minimax"),
            *medians("lead", "D(x) - D(G(z)) non_saturating", "D(x) - D(G(z)) minimax"),
        ],
        draw=figures.gradients,
        number=("mlp, 1 to 500", "{} (`mlp`)"),
    ),
    Claim(
        name="half",
        text="D(x) and D(G(z)) tend to 1/2 (Goodfellow et al. 2014)",
        question="Is their mean distance from 1/2 below 0.1 after 4,000 steps?",
        rows=ends_of_half,
        by=["setting"],
        measure=median("distance", "distance"),
        bound=Bound("below", 0.1),
        also=[median("d_real", "D(x)"), median("d_fake", "D(G(z))"), median("fid")],
        draw=figures.half,
        number=("R1", "with R1 only {} away"),
    ),
    Claim(
        name="k",
        text="One step of D per step of G is enough (Goodfellow et al. 2014)",
        question="Is the Fréchet distance after equal time larger with more steps of D?",
        rows=more_steps_beside_one,
        by=["setting"],
        measure=ratio("fid", "ratio of `fid` to k = 1"),
        bound=Bound("above", 1),
        also=[
            *medians("fid", "`fid`", "`fid`, k = 1"),
            *medians("steps", "`steps`", "`steps`, k = 1"),
            *medians("modes", "`modes`", "`modes`, k = 1"),
        ],
        number=("k = 5", "five: `fid` times {}"),
    ),
    Claim(
        name="acceptance",
        text="The share that D accepts measures a generator's quality (often said)",
        question="Does `acceptance` rank runs as the Fréchet distance does?",
        rows=groups_of_losses,
        by=["over"],
        measure=correlation("rank correlation with `fid`"),
        bound=Bound("below", -0.5),
        also=[("runs", len)],
        number=("all runs", "rank correlation {}"),
        summary={"main": True},
    ),
    Claim(
        name="parzen",
        text="GANs reach a Parzen log-likelihood of 225 nats (Goodfellow et al. 2014)",
        question="Does a training reach 225 nats?",
        rows=ends_of_parzen,
        by=["arch", "setting", "after"],
        measure=median("parzen"),
        bound=Bound("at least", 225),
        also=[median("fid"), median("noise")],
        draw=figures.parzen,
        number=("mlp, annealed, 3.59 million images", "{} (`mlp`)"),
    ),
    Claim(
        name="stacked",
        text="A GAN finds all 1,000 modes of stacked MNIST (Metz et al. 2017)",
        question="Are all 1,000 combinations of three digits among 26,000 samples?",
        rows=stacked_runs,
        by=["setting", "loss", "after"],
        measure=median("modes"),
        bound=Bound("at least", 1000),
        also=[median("class_kl", "KL, nats"), median("fid")],
        draw=figures.stacked,
        number=("default, relativistic, 2.05 million images", "{} (`relativistic`)"),
        summary={"best": True},
    ),
]


def summary(study):
    """A row for each claim and case."""
    return markdown(
        {
            "claim": "" if i else claim.text,
            "measure": "" if i else claim.measure[0],
            "case": name,
            "value": shown(value),
            "verdict": claim.bound.verdict(value),
        }
        for claim in CLAIMS
        for i, (name, value) in enumerate(claim.main_cases(study).items())
    )


def readme(study):
    """A line for each claim: its verdict, and one number."""
    lines = []
    for claim in CLAIMS:
        cases = claim.main_cases(study)
        name, phrase = claim.number
        if name in cases:
            number = phrase.format(shown((cases[name][0], math.nan, math.nan)))
            lines.append(f"- {claim.text}: {claim.verdict(study)}; {number}")
    return "\n".join(lines)


def windows(study):
    """What blurring does to the Parzen log-likelihood."""
    rows = where(study.rows, part="windows").set_index("setting")
    scores = rows[["parzen", "fid", "precision", "noise"]].map("{:.3g}".format)
    return markdown(scores.reset_index())


BLOCKS = {claim.name: claim.block for claim in CLAIMS}
BLOCKS |= {"summary": summary, "readme": readme, "windows": windows}


def rendered(text, study):
    """The text of a page with its BLOCKS made anew."""

    def block(match):
        return f"{match[1]}\n{BLOCKS[match[2]](study)}\n{match[3]}"

    pattern = rf"(<!-- study: ({'|'.join(BLOCKS)}) -->)\n.*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def write(study, folder):
    """Renders the pages of this project, and draws the figures, into a folder."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        (folder / page).write_text(rendered((ROOT / page).read_text(), study))
    for claim in CLAIMS:
        figure = Figure(layout="constrained")
        claim.draw(figure, claim, study)
        figure.savefig(folder / FIGURES / f"{claim.name}.png")


if __name__ == "__main__":
    write(tables.read(), ROOT)
