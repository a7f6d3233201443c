"""One or several runs as one page without a network, or the samples of a run as a film.

python -m keras_gan.report runs/*                       report.html: the runs side by side
python -m keras_gan.report --film=film.gif runs/mnist-dcgan-lsgan

A training writes report.html into its run directory after each epoch.
"""

import base64
import contextlib
import dataclasses
import html
import json
import math
import shlex
import string
from pathlib import Path

import numpy as np
from absl import flags

from keras_gan import InputError, commands, files
from keras_gan.config import Config
from keras_gan.images import write_film
from keras_gan.networks import ARCHITECTURES
from keras_gan.run_directory import RunDirectory, read_record

TEMPLATE = Path(__file__).with_suffix(".html")
MAX_BYTES = 3_000_000  # of the sample grids in a page
MAX_FRAMES = 60
SCORES = ("fid", "classifier_score", "precision", "recall", "noise", "swd", "accuracy")


class Run:
    """What the files of a run directory say."""

    def __init__(self, path):
        self.directory = RunDirectory(path)
        if not self.directory.config.exists():
            raise InputError(f"{path}: not a run directory: it has no config.json.")
        self.name = str(path)
        record = read_record(self.directory.config)
        self.settings, self.dataset = record["settings"], record["dataset"]
        shape = np.shape(self.dataset.get("shape"))
        if not {"arch", "loss"} <= self.settings.keys() or shape != (4,):
            raise InputError(f"{self.directory.config}: damaged: settings are missing.")
        self.described = {**self.settings, **record["versions"], **record.get("machine", {})}
        self.described |= {f"images: {name}": value for name, value in self.dataset.items()}
        self.rows = files.read_history(self.directory.history)
        names = {
            path: path.stem.removeprefix("epoch-") for path in self.directory.samples.glob("*")
        }
        self.grids = sorted((int(name), path) for path, name in names.items() if name.isdecimal())
        self.evaluations = {}
        for state, file in self.directory.evaluations.items():
            damaged = ValueError, KeyError, TypeError, AttributeError
            with contextlib.suppress(FileNotFoundError, *damaged):
                record = files.read_json(file)
                self.evaluations[state] = record["samples"]["epoch"], _score_rows(record["scores"])

    def overview(self):
        """A row of the table of runs: {column: value}."""
        last = self.rows[-1] if self.rows else {}
        row = {"run": self.name, "epochs": len(self.rows)}
        row |= {name: self.settings.get(name) for name in ("arch", "loss", "seed")}
        row["minutes"] = last.get("seconds", math.nan) / 60
        row["images/s"] = self.rate()
        row |= {name: last.get(name) for name in ("d_real", "d_fake")}
        for name in ("fid", "swd"):  # of an epoch's 2,000 samples
            values = [row[name] for row in self.rows if name in row]
            if values:
                row[f"{name} while training"] = np.nanmin([*values, math.inf])
        _, scores = self.evaluations.get("last", (None, []))
        model = {score["score"]: score.get("model") for score in scores}
        return row | {name: model[name] for name in SCORES if name in model}

    def rate(self):
        """The median of the epochs' images per second, scoring included."""
        seconds = np.diff([0.0, *(row.get("seconds", math.nan) for row in self.rows)])
        names = ("steps_per_epoch", "batch_size", "d_steps")
        images = math.prod(self.settings.get(name) or 1 for name in names)
        return images / np.median(seconds) if len(seconds) else None

    def command(self):
        """The command that resumes the run: the fewest flags that give its settings."""
        given = dataclasses.asdict(Config.of_record(self.settings))
        given = {name: value for name, value in given.items() if value is not None}
        given |= {"model_dir": str(self.directory.path), "overwrite": False}
        run, (count, *shape) = Config(**given), self.dataset["shape"]
        count = self.dataset.get("available", count)  # --num_images may use fewer
        architecture = ARCHITECTURES[run.arch].for_images(count, *shape)
        for name in sorted(given.keys() - {"arch", "loss"}, reverse=True):  # penalty_weight first
            rest = {other: value for other, value in given.items() if other != name}
            with contextlib.suppress(InputError):
                if Config(**rest).resolve(count, architecture, self.dataset.get("classes")) == run:
                    given = rest
        flags = [_flag(name, given[name]) for name in sorted(given)]
        return " ".join(["python", "train.py", *map(shlex.quote, flags)])


def _flag(name, value):
    if isinstance(value, bool):
        return f"--{'' if value else 'no'}{name}"
    return f"--{name}={value}"


def write_report(directories, path):
    """Writes one page about run directories, with everything in it.

    Raises:
        InputError: if one of them is no run directory, or its files are damaged.
    """
    runs = [Run(directory) for directory in directories]
    first = runs[0]
    title = first.directory.path.resolve().name if len(runs) == 1 else f"{len(runs)} runs"
    subtitle = "{arch} with {loss}".format(**first.settings) if len(runs) == 1 else ""
    parts = [
        _section("Overview", _table([run.overview() for run in runs], sortable=len(runs) > 1)),
        _section("Training", _charts(runs)),
        _section("Samples of the same latents", _films(runs)),
        *(_scores(run) for run in runs),
        _section("Commands", "".join(map(_commands, runs))),
        _section("Settings", _settings(runs)),
    ]
    page = string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=html.escape(title), subtitle=html.escape(subtitle), body="\n".join(parts)
    )
    with files.replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _section(title, content):
    return f"<section><h2>{html.escape(title)}</h2>{content}</section>" if content else ""


def _text(value):
    """The text of a cell."""
    if value is None or value != value:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 and math.isfinite(value) else f"{value:.4g}"
    return str(value)


def _table(rows, sortable=False, kind="numbers"):
    columns = dict.fromkeys(name for row in rows for name in row)
    heads = (f"<button>{html.escape(c)}</button>" if sortable else html.escape(c) for c in columns)
    lines = ["".join(f"<td>{html.escape(_text(row.get(c)))}</td>" for c in columns) for row in rows]
    head = "".join(f"<th scope=col>{text}</th>" for text in heads)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table class={kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f"<div class=wide>{table}</div>"


def _charts(runs):
    from keras_gan.plots import PANELS, svg  # here: `--help` does not wait for matplotlib

    histories = {run.name: run.rows for run in runs}
    charts = "".join(svg(panel, histories) for panel in PANELS if panel.measured(histories))
    note = (
        "<p>Dotted: where generated images are like the real ones. "
        "Hold the pointer over a mark to see its value.</p>"
    )
    return f"<div class=charts>{charts}</div>{note}" if charts else ""


def _films(runs):
    figures, epochs = [], set()
    for run in filter(lambda run: run.grids, runs):
        largest = max(path.stat().st_size for _, path in run.grids)
        most = max(1, min(MAX_FRAMES, MAX_BYTES // len(runs) // largest))
        frames = run.grids[:: -math.ceil(len(run.grids) / most)][::-1]  # always the last one
        epochs |= {epoch for epoch, _ in frames}
        pictures = ""
        for epoch, path in frames:
            data = base64.b64encode(path.read_bytes()).decode()
            hidden = "" if epoch == frames[-1][0] else " hidden"
            alt = f"samples after epoch {epoch}"
            source = f"data:image/png;base64,{data}"
            pictures += f'<img{hidden} data-epoch={epoch} alt="{alt}" src="{source}">'
        figures.append(
            f"<figure>{pictures}<figcaption>{html.escape(run.name)}</figcaption></figure>"
        )
    if not figures:
        return ""
    last = len(epochs) - 1
    slider = (
        f"<label>Epoch <input id=epoch type=range min=0 max={last} value={last} step=1 "
        f'data-epochs="{json.dumps(sorted(epochs))}"> <output id=shown></output></label>'
    )
    return f"{slider}<div class=films>{''.join(figures)}</div>"


def _scores(run):
    sections = []
    for state, (epoch, rows) in run.evaluations.items():
        sections.append(_section(f"Scores of {run.name}: the {state} epoch, {epoch}", _table(rows)))
    return "".join(sections)


def _score_rows(scores):
    """The rows of a table of scores. If it is no dict of dicts, all sorts of exceptions."""
    scores = {name: values for name, values in scores.items() if name != "class_histogram"}
    return [{"score": name, **values} for name, values in scores.items()]


def _commands(run):
    place = shlex.quote(f"--model_dir={run.directory.path}")
    lines = [
        run.command(),
        f"python sample.py {place} --output=samples.png",
        f"python -m keras_gan.evaluate {place}",
    ]
    return f"<pre>{html.escape(chr(10).join(lines))}</pre>"


def _settings(runs):
    names = dict.fromkeys(name for run in runs for name in run.described)
    rows = [
        {"setting": name} | {run.name: str(run.described.get(name, "-")) for run in runs}
        for name in names
    ]
    return f"<details><summary>All</summary>{_table(rows, kind='text')}</details>"


def film(directory, path):
    """Writes the sample grids of a run as a film: `.gif`, `.webp` or `.png` (APNG)."""
    from PIL import Image

    grids = [np.asarray(Image.open(path)) for _, path in Run(directory).grids]
    if not grids:
        raise InputError(f"{directory}: it has no samples yet.")
    rest = [grids[-1]] * 10  # the last one stays
    write_film(path, [g.reshape(*g.shape[:2], -1) for g in (*grids, *rest)], milliseconds=200)


FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_string("output", "report.html", "Where to write the page.")
    flags.DEFINE_string("film", None, "x.gif, .webp or .png: the samples of one run instead.")


def main(directories):
    if not directories:
        raise InputError("Name run directories: python -m keras_gan.report runs/mnist-dcgan-lsgan.")
    if FLAGS.film:
        if len(directories) > 1:
            raise InputError(f"--film={FLAGS.film}: expected one run, got {len(directories)}.")
        film(directories[0], FLAGS.film)
    else:
        write_report(directories, FLAGS.output)
    print(f"Written: {FLAGS.film or FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    commands.start(main, operands=True)
