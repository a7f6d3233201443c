"""The papers' claims: CLAIMS, at the end of this file, and the tables and figures made from it.

python -m benchmarks.claims                       writes docs/claims.md, README.md, docs/study/
python -m benchmarks.claims BLOCK                 prints one block
python -m benchmarks.claims samples FOLDER SEED   draws the sample grids that the study left there

A page has blocks, from `<!-- study: NAME -->` to `<!-- end -->`. NAME is that of a claim or one of
the other functions in BLOCKS.
"""

import collections
import dataclasses
import functools
import itertools
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks import figures
from benchmarks.common import ROOT, markdown
from benchmarks.tables import (
    Bound,
    interval,
    middle,
    paired,
    rank_correlation,
    ratio,
    read,
    shown,
    where,
)

PAGES = ("docs/claims.md", "README.md")
FIGURES = "docs/study"
CLASSES = 9  # of the ten digits: fewer among 10,000 samples count as a collapse
NOTHING = (math.nan,) * 3  # is compared


@dataclasses.dataclass(frozen=True)
class Case:
    """One measurement for a claim: a line of its table."""

    labels: dict  # column -> what is measured or compared
    measured: tuple  # (value, low, high)
    also: dict  # column -> what else was measured there
    summary: str = ""  # its name in the summary; "": it is not in it
    note: str = ""  # behind its value in the summary


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim, where it is measured, and the bound that decides."""

    name: str  # of its block and its figure
    text: str
    source: str
    question: str
    measure: str
    bound: Bound
    cases: Callable  # Study -> an iterable of Case
    draw: Callable  # (figure, Study)
    headline: tuple[str, str]  # `summary` of a case, and what README.md says of its value

    def summary(self, study):
        return [case for case in self.cases(study) if case.summary]

    def verdict(self, study):
        """One of all cases in the summary; of single runs the best one decides."""
        verdicts = [self.bound.verdict(case.measured) for case in self.summary(study)]
        if self.bound.side == "at least" and "supported" in verdicts:
            return "supported"
        word, count = collections.Counter(verdicts).most_common(1)[0]
        if count == len(verdicts):
            return word
        return f"mostly {word}" if 2 * count > len(verdicts) else "mixed"

    def block(self, study):
        """The question, a table with a row for each case, and the figure."""
        table = markdown(
            {
                **case.labels,
                self.measure: shown(case.measured),
                **case.also,
                str(self.bound): self.bound.verdict(case.measured),
            }
            for case in self.cases(study)
        )
        return (
            f"**{self.question}** Supported: {self.measure} {self.bound}. ({self.source})\n\n"
            f"{table}\n\n![{self.text}](study/{self.name}.png)"
        )


# The cases of each claim: which runs of the study it is measured on


def lsgan(study):
    rows = where(study.rows, part="losses")
    others = rows[rows["loss"].isin(["minimax", "non_saturating"])]
    pairs = paired(where(rows, loss="lsgan"), others, on=["after", "arch", "setting"])
    for names, of in pairs.groupby(["after", "arch", "setting", "loss_b"], sort=False):
        after, arch, setting, loss = names
        yield Case(
            {"arch": arch, "setting": setting, "after": after, "lsgan against": loss},
            ratio(of, "fid"),
            {
                "of `kid`": shown(ratio(of, "kid")),
                "of steps": shown(ratio(of, "steps")),
                "fewer than nine classes": f"{collapsed(of['modes'])} : {collapsed(of['modes_b'])}",
            },
            summary=f"{arch}, {setting}, against {loss}" if after == "equal steps" else "",
        )


def collapsed(modes):
    return f"{np.sum(modes < CLASSES)} of {len(modes)}"


def noise(study):
    rows = where(study.rows, part="losses")
    pairs = paired(where(rows, arch="dcgan"), rows[rows["arch"] != "dcgan"], on=["after", "loss"])
    # The published setting of maxout stands against both of dcgan's.
    pairs = pairs[pairs["setting_b"].isin(["published"]) | (pairs["setting_b"] == pairs["setting"])]
    names = ["after", "arch_b", "setting_b", "setting", "loss"]
    for (after, arch, setting_b, setting, loss), of in pairs.groupby(names, sort=False):
        a, b = f"dcgan, {setting}", f"{arch}, {setting_b}"
        yield Case(
            {"after": after, "loss": loss, "a": a, "b": b},
            ratio(of, "noise"),
            {"`noise` of a": middle(of["noise"]), "of b": middle(of["noise_b"])},
            summary=f"{a}, to {b}" if (after, loss) == ("equal steps", "non_saturating") else "",
        )


def gradients(study):
    at = where(study.courses, part="gradients")
    at = at.assign(lead=at["d_real"] - at["d_fake"])
    early = {
        last: at[at["step"] <= last]
        .groupby(["arch", "loss", "seed"], sort=False, as_index=False)[["gradient", "lead"]]
        .mean()
        for last in (100, 500)
    }
    for arch, last in itertools.product(at["arch"].unique(), early):
        rows = where(early[last], arch=arch)
        of = paired(where(rows, loss="non_saturating"), where(rows, loss="minimax"), on=[])
        yield Case(
            {"arch": arch, "steps": f"1 to {last}"},
            ratio(of, "gradient"),
            {
                "‖∇G‖ non_saturating": middle(of["gradient"]),
                "‖∇G‖ minimax": middle(of["gradient_b"]),
                "D(x) - D(G(z)) non_saturating": middle(of["lead"]),
                "D(x) - D(G(z)) minimax": middle(of["lead_b"]),
            },
            summary=f"{arch}, steps 1 to {last}",
        )


def half(study):
    at = where(study.courses, part="half")
    steps = sorted(at["step"].unique())
    for setting, of in at.groupby("setting", sort=False):
        also = {"seeds": of["seed"].nunique()}
        for step in (steps[0], steps[len(steps) // 2], steps[-1]):
            real, fake = where(of, step=step)[["d_real", "d_fake"]].median()
            also[f"D(x), D(G(z)) by step {step:,}"] = f"{real:.2f}, {fake:.2f}"
        also["`fid`"] = middle(where(study.rows, part="half", setting=setting)["fid"])
        distance = interval(distance_from_half(where(of, step=steps[-1]), setting))
        yield Case({"setting": setting}, distance, also, summary=f"mlp, {setting}")


def distance_from_half(rows, setting):
    """The mean of |D(x) - 1/2| and |D(G(z)) - 1/2| of each row.

    With label smoothing from 0.45, where a perfect G has both: D's target of real images is 0.9.
    """
    aim = 0.45 if setting == "label smoothing" else 0.5
    return abs(rows[["d_real", "d_fake"]] - aim).mean(axis=1)


def steps(study):
    rows = where(study.rows, part="steps")
    for k, of in paired(rows, where(rows, setting="k = 1"), on=[]).groupby("setting"):
        yield Case(
            {"k": k.removeprefix("k = ")},
            ratio(of, "fid") if k != "k = 1" else NOTHING,
            {"seeds": len(of), **{f"`{n}`": middle(of[n]) for n in ("steps", "fid", "modes")}},
            summary=f"mlp, {k}" if k != "k = 1" else "",
        )


def acceptance(study):
    at = where(study.rows, part="losses", after="equal steps")
    critics = at["loss"].isin(["wasserstein", "relativistic"])
    groups = {"all": at, "all but wasserstein and relativistic": at[~critics]}
    several = at[at["setting"] != "published"]
    groups |= {", ".join(key): of for key, of in several.groupby(["arch", "setting"], sort=False)}
    groups |= dict(list(at.groupby("loss", sort=False)))
    for name, of in groups.items():
        measured = interval(acceptance_and_fid(of), correlation)
        summary = "all runs" if name == "all" else ""
        yield Case({"over": name}, measured, {"runs": len(of)}, summary)
    within = interval(correlation(acceptance_and_fid(at), axis=1), np.mean)
    yield Case(
        {"over": "the seeds of one network, setting and loss; mean"}, within, {"runs": len(at)}
    )


def acceptance_and_fid(rows):
    """[cells, seeds, 2]. Runs that differ in the seed alone are resampled together."""
    cells = rows.groupby(["arch", "setting", "loss"], sort=False)
    return np.stack([of[["acceptance", "fid"]] for _, of in cells])


def correlation(pairs, axis=0):
    """The rank correlation of all pairs [..., 2], or for each index of the first axis."""
    pairs = pairs.reshape(*pairs.shape[:axis], -1, 2)
    return rank_correlation(pairs[..., 0], pairs[..., 1])


def parzen(study):
    at = where(study.rows, part="parzen")
    for _, row in at.drop_duplicates(["arch", "setting"], keep="last").iterrows():
        millions = f"{row['images'] / 1e6:.1f}"
        yield Case(
            {"arch": row["arch"], "setting": row["setting"], "images, millions": millions},
            interval([row["parzen"]]),
            {"`fid`": f"{row['fid']:.3g}", "`noise`": f"{row['noise']:.3g}"},
            summary=f"{row['arch']}, {row['setting']}",
            note=f", after {millions} million images",
        )


def stacked(study):
    at = where(study.rows, part="stacked")
    # Of each setting the run with the most modes; of equal ones that with the least divergence.
    ranked = at.sort_values(["modes", "class_kl"], ascending=[False, True])
    best = ranked.drop_duplicates("setting").index
    for i, row in at.iterrows():
        kl, millions = f"{row['class_kl']:.3g}", row["images"] / 1e6
        yield Case(
            {"setting": row["setting"], "loss": row["loss"], "images, millions": f"{millions:.2f}"},
            interval([row["modes"]]),
            {"KL, nats": kl, "`fid`": f"{row['fid']:.3g}"},
            summary=f"dcgan, {row['setting']}, {row['loss']}" if i in best else "",
            note=f", KL {kl}, after {millions:.1f} million images",
        )


CLAIMS = [
    Claim(
        "lsgan",
        "LSGAN makes better images than the GAN loss",
        "Mao et al. 2017",
        "Is the Fréchet distance smaller with `lsgan` than with either form of the GAN loss?",
        "ratio of `fid`",
        Bound("below", 1),
        lsgan,
        figures.fid,
        ("dcgan, plain, against non_saturating", "`fid` ratio {} (`dcgan`)"),
    ),
    Claim(
        "noise",
        "DCGAN's images have much less noise than the simple GAN's",
        "often said",
        "Do samples of `dcgan` have less than half the noise of those of `mlp` and `maxout`?",
        "ratio of `noise`",
        Bound("below", 0.5),
        noise,
        figures.noise,
        ("dcgan, plain, to mlp, plain", "ratio {} (plain `mlp`)"),
    ),
    Claim(
        "gradients",
        "Non-saturating gradients are much stronger early on",
        "Goodfellow et al. 2014",
        "Is the generator's gradient at least twice as large as with `minimax`?",
        "ratio of ‖∇G‖",
        Bound("above", 2),
        gradients,
        figures.gradients,
        ("mlp, steps 1 to 500", "ratio {}"),
    ),
    Claim(
        "half",
        "D(x) and D(G(z)) tend to 1/2",
        "Goodfellow et al. 2014",
        "Is their mean distance from 1/2 below 0.1 after 4,000 steps?",
        "distance",
        Bound("below", 0.1),
        half,
        figures.half,
        ("mlp, R1", "{} away with R1"),
    ),
    Claim(
        "k",
        "One step of D per step of G is enough",
        "Goodfellow et al. 2014",
        "Is the Fréchet distance larger with more steps of D, after equal time?",
        "ratio of `fid` to k = 1",
        Bound("above", 1),
        steps,
        figures.steps,
        ("mlp, k = 5", "five: `fid` ratio {}"),
    ),
    Claim(
        "acceptance",
        "The share that D accepts measures a generator's quality",
        "often said",
        "Does `acceptance` rank runs as the Fréchet distance does?",
        "rank correlation with `fid`",
        Bound("below", -0.5),
        acceptance,
        figures.acceptance,
        ("all runs", "rank correlation {}"),
    ),
    Claim(
        "parzen",
        "GANs reach a Parzen log-likelihood of 225 nats",
        "Goodfellow et al. 2014",
        "Does a training reach 225 nats?",
        "`parzen`",
        Bound("at least", 225),
        parzen,
        figures.parzen,
        ("mlp, annealed", "{} (`mlp`)"),
    ),
    Claim(
        "stacked",
        "A GAN finds all 1,000 modes of stacked MNIST",
        "Metz et al. 2017",
        "Are all 1,000 combinations of three digits among 26,000 samples?",
        "modes",
        Bound("at least", 1000),
        stacked,
        figures.stacked,
        ("dcgan, default, relativistic", "{} (`relativistic`)"),
    ),
]


# What is said of all claims together, and the scores that they are measured by


def summary(study):
    """A row for each case that is in the summary."""
    return markdown(
        {
            "claim": "" if i else claim.text,
            "measure": "" if i else claim.measure,
            "of": case.summary,
            "value": shown(case.measured) + case.note,
            "verdict": claim.bound.verdict(case.measured),
        }
        for claim in CLAIMS
        for i, case in enumerate(claim.summary(study))
    )


def readme(study):
    """A line for each claim: its verdict, and one number."""
    lines = []
    for claim in CLAIMS:
        measured = {case.summary: case.measured for case in claim.summary(study)}
        name, phrase = claim.headline
        if name in measured:
            number = phrase.format(shown([measured[name][0], math.nan, math.nan]))
            lines.append(f"- {claim.text} ({claim.source}): {claim.verdict(study)}; {number}")
    return "\n".join(lines)


def scores(study, after):
    """Medians of the scores, a row for each network, setting and loss."""
    names = ["steps", "fid", "kid", "precision", "recall", "modes", "noise", "parzen", "acceptance"]
    rows = where(study.rows, part="losses", after=after)
    return markdown(
        {
            "arch": arch,
            "setting": setting,
            "loss": loss,
            "seeds": len(of),
            **{f"`{name}`": middle(of[name]) for name in names},
        }
        for (arch, setting, loss), of in rows.groupby(["arch", "setting", "loss"], sort=False)
    )


def windows(study):
    """What blurring does to the Parzen log-likelihood."""
    return markdown(
        {
            "10,000 images": row["setting"],
            **{f"`{n}`": f"{row[n]:.3g}" for n in ("parzen", "fid", "precision", "noise")},
        }
        for _, row in where(study.rows, part="windows").iterrows()
    )


BLOCKS = {
    **{claim.name: claim.block for claim in CLAIMS},
    "summary": summary,
    "readme": readme,
    "windows": windows,
    "equal steps": functools.partial(scores, after="equal steps"),
    "equal time": functools.partial(scores, after="equal time"),
}


# Pages


def rendered(text, study):
    """The text of a page with its blocks made anew."""

    def block(match):
        return f"{match[1]}\n{BLOCKS[match[2]](study)}\n{match[3]}"

    pattern = r"(<!-- study: ([\w ]+) -->)\n.*?(<!-- end -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def write(study, folder):
    """Renders the pages of this project, and draws the figures, into a folder."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        (folder / page).write_text(rendered((ROOT / page).read_text(), study))
    for claim in CLAIMS:
        save(folder, claim.name, claim.draw, study)


def save(folder, name, draw, *arguments):
    figure = Figure(layout="constrained")
    draw(figure, *arguments)
    figure.savefig(folder / FIGURES / f"{name}.png")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["samples", folder, seed]:
            save(ROOT, "samples", figures.samples, Path(folder), seed)
        case [name]:
            print(BLOCKS[name](read()))
        case _:
            write(read(), ROOT)
