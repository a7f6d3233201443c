"""The page about runs: what it says, and that a browser shows it."""

import html.parser
import io
import json
import math
import re
import shlex
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from keras_gan import InputError, files, plots, report
from keras_gan.config import Config
from keras_gan.images import write_grid
from keras_gan.networks import ARCHITECTURES
from keras_gan.run_directory import RunDirectory


@pytest.fixture
def make_run(tmp_path):
    def make(
        name="run",
        epochs=3,
        columns=("d_loss", "g_loss", "d_real", "d_fake", "fid"),
        channels=1,
        **flags,
    ):
        """A run directory as a training leaves it."""
        directory = RunDirectory(tmp_path / name)
        directory.samples.mkdir(parents=True)
        config, shape = Config(**flags), (28, 28, channels)
        config = config.resolve(60_000, ARCHITECTURES[config.arch].for_images(60_000, *shape))
        dataset = {"name": "mnist", "sha256": "0" * 64, "available": 60_000}
        dataset["shape"] = [config.num_images, *shape]
        directory.write_config(config, dataset)
        rows = [
            {"epoch": i} | dict.fromkeys(columns, 0.25 + i / 7) | {"seconds": 10.0 * (i + 1)}
            for i in range(epochs)
        ]
        files.write_history(directory.history, rows)
        rng = np.random.default_rng(0)
        for epoch in range(1, epochs + 1):
            grid = rng.integers(256, size=[4, 8, 8, 1], dtype=np.uint8)
            write_grid(directory.samples / f"epoch-{epoch:04d}.png", grid)
        scores = {"fid": {"model": 0.125, "real": 0.0625, "noise": 512.0}}
        record = {"scores": scores, "samples": {"epoch": epochs}}
        files.write_json(directory.evaluations["last"], record)
        return directory

    return make


class Page(html.parser.HTMLParser):
    """The text of a page, and its attributes that could load something."""

    def __init__(self, path):
        super().__init__()
        self.text, self.links, self.tags, self.open = "", [], [], []
        self.feed(path.read_text())
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_a_page_about_one_run(make_run):
    run = make_run()
    report.write_report([run.path], run.report)
    page = Page(run.report)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert len(page.links) == 3  # a picture for each epoch
    assert "http" not in page.text.replace("http-equiv", "")
    assert all(text in page.text for text in ("0.125", "0.0625", "512"))  # the scores
    assert "discriminator: 0.5357 after epoch 3" in page.text  # 0.25 + 2 / 7, as a tooltip
    assert page.tags.count("svg") == 3  # losses, probabilities, fid
    # 60,000 // 32 = 1,875 steps, of which 1,872 are divisible by 4, of 32 images, in 10 seconds.
    assert "<td>5,990</td>" in run.report.read_text()
    assert not any(run.path.glob("*.tmp"))


def test_the_command_is_the_one_of_the_run(make_run):
    flags = {
        "arch": "mlp",
        "loss": "lsgan",
        "spectral_norm": True,
        "batch_size": 8,
        "data_path": "a b.npz",
    }
    run = make_run(**flags)
    command = report.Run(run.path).command()
    # The default is R1, and off if spectral normalisation is given.
    assert shlex.split(command) == [
        "python", "train.py", "--arch=mlp", "--batch_size=8", "--data_path=a b.npz",
        "--loss=lsgan", f"--model_dir={run.path}", "--spectral_norm",
    ]  # fmt: skip


def test_the_command_says_how_many_of_the_images(make_run):
    run = make_run(num_images=1000, channels=3, augment="cutout,color")
    flags = shlex.split(report.Run(run.path).command())
    assert {"--num_images=1000", "--augment=cutout,color"} <= set(flags)


def test_the_command_keeps_what_would_be_the_default_of_fewer_images(make_run):
    """1,000 colour images are augmented, but not the first 1,000 of 60,000."""
    run = make_run(num_images=1000, channels=3, augment="color,translation,cutout")
    assert "--augment=color,translation,cutout" in report.Run(run.path).command()


def test_the_default_run_has_the_short_command(make_run):
    run = make_run()
    command = report.Run(run.path).command()
    assert command == f"python train.py --arch=dcgan --loss=lsgan --model_dir={run.path}"


@pytest.mark.parametrize(("column", "drawn"), [("value", True), ("d_loss", False)])
def test_the_value_function_is_drawn_where_it_was_measured(make_run, column, drawn):
    run = make_run(columns=("d_loss", column))
    report.write_report([run.path], run.report)
    assert ("Jensen-Shannon" in Page(run.report).text) == drawn


def test_the_divergence_is_zero_at_the_equilibrium():
    """Goodfellow et al. 2014, theorem 1: V = -log 4 where JSD = 0, and V = 0 where JSD = log 2."""
    from matplotlib.figure import Figure

    (panel,) = (panel for panel in plots.PANELS if "value" in panel.columns)
    assert panel.equilibrium == pytest.approx(-2 * math.log(2))
    axes = Figure().subplots()
    panel.draw(axes, {"": [{"epoch": 0, "value": -1.0}]})
    axes.set_ylim(-2 * math.log(2), 0)
    axes.figure.savefig(io.BytesIO())
    (second,) = axes.child_axes
    np.testing.assert_allclose(second.get_ylim(), [0, math.log(2)], atol=1e-6)


def test_names_are_escaped(make_run):
    run = make_run("<script>alert(1)</script>&$x_1$", data_path="</pre><img src=x>")
    other = make_run("b")
    for directories in ([run.path], [run.path, other.path]):
        report.write_report(directories, run.report)
        page = Page(run.report)
        assert page.tags.count("script") == 1  # the page's own
        assert all(link.startswith("data:") for link in page.links)
        assert "<script>alert(1)</script>&$x_1$" in page.text


def test_many_epochs_stay_a_small_page(make_run, monkeypatch):
    run = make_run(epochs=130)
    report.write_report([run.path], run.report)
    epochs = re.findall(r"data-epoch=(\d+)", run.report.read_text())
    assert len(epochs) == 44  # of 130 every third one
    assert epochs[-1] == "130"
    monkeypatch.setattr(report, "MAX_BYTES", 0)
    report.write_report([run.path], run.report)
    assert re.findall(r"data-epoch=(\d+)", run.report.read_text()) == ["130"]


@pytest.mark.parametrize("text", ["{", "[]", '{"scores": 3}', '{"scores": {"fid": 1}}'])
def test_a_damaged_evaluation_is_left_out(make_run, text):
    run = make_run()
    run.evaluations["last"].write_text(text)
    (run.samples / "epoch-one.png").write_text("no picture, and of no epoch")
    report.write_report([run.path], run.report)
    page = Page(run.report)
    assert "Scores of" not in page.text
    assert len(page.links) == 3


def test_a_run_without_epochs(make_run):
    run = make_run(epochs=0)
    report.write_report([run.path], run.report)
    assert "dcgan with lsgan" in Page(run.report).text


def test_film(make_run, tmp_path):
    run = make_run(epochs=4)
    report.film(run.path, tmp_path / "film.png")
    with (
        Image.open(tmp_path / "film.png") as film,
        Image.open(run.samples / "epoch-0002.png") as grid,
    ):
        assert film.n_frames == 4  # Pillow makes one frame of equal ones
        film.seek(1)
        np.testing.assert_array_equal(np.asarray(film.convert("L")), np.asarray(grid))


def test_the_command_line(make_run, tmp_path, command):
    runs = [make_run(name).path for name in ("a", "b")]
    page = tmp_path / "page.html"
    done = command("-m", "keras_gan.report", f"--output={page}", *runs)
    assert (done.returncode, done.stdout) == (0, f"Written: {page}\n")
    assert all(str(run) in Page(page).text for run in runs)
    done = command("-m", "keras_gan.report", f"--film={tmp_path / 'x.gif'}", runs[0])
    assert done.returncode == 0
    for flags, error in (
        ([], "Name run directories"),
        ([tmp_path], "not a run directory"),
        (["--film=x.gif", *runs], "expected one run, got 2"),
        (["--film=x.mp4", runs[0]], "expected a name that ends in .gif, .webp, .png"),
    ):
        done = command("-m", "keras_gan.report", *flags)
        assert done.returncode == 1
        assert error in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_no_run(tmp_path):
    with pytest.raises(InputError, match="not a run directory: it has no config"):
        report.write_report([tmp_path], tmp_path / "x.html")


@pytest.mark.parametrize("part", ["settings", "dataset"])
def test_a_damaged_config(make_run, part):
    run = make_run()
    record = json.loads(run.config.read_text())
    run.config.write_text(json.dumps(record | {part: {}}))
    with pytest.raises(InputError, match="config.json: damaged: settings are missing"):
        report.write_report([run.path], run.report)


# What a user does, and what must be seen then; the result is written into the page.
ACTIONS = """
<script>
const out = {errors: []};
window.onerror = message => out.errors.push(message);
document.addEventListener("securitypolicyviolation", e => out.errors.push(e.blockedURI));
window.onload = () => {
  out.broken = [...document.images].filter(i => !i.complete || !i.naturalWidth).length;
  const seen = () => [...document.images].filter(i => !i.hidden).map(i => i.dataset.epoch);
  out.first = seen();
  const slider = document.getElementById("epoch");
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  out.moved = seen();
  const header = [...document.querySelectorAll("th button")].find(b => b.textContent === "epochs");
  const body = document.querySelector("tbody");
  const names = () => [...body.rows].map(row => row.cells[1].textContent);
  out.order = [names()];
  for (const press of [1, 2]) { header.click(); out.order.push(names()); }
  out.wide = document.documentElement.scrollWidth;
  out.resources = performance.getEntriesByType("resource").map(r => r.name);
  document.title = JSON.stringify(out);
};
</script>
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's package chromium")
def test_in_a_browser(make_run, tmp_path):
    runs = [make_run(f"run-{epochs}", epochs=epochs) for epochs in (10, 2, 3)]
    page = tmp_path / "page.html"
    report.write_report([run.path for run in runs], page)
    text = page.read_text()
    assert text.count("<body>") == 1
    page.write_text(text.replace("<body>", f"<body>{ACTIONS}"))
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--window-size=380,800",
         "--enable-logging=stderr", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    out = json.loads(html.unescape(re.search("<title>(.*?)</title>", done.stdout)[1]))
    assert out["errors"] == out["resources"] == []
    assert out["broken"] == 0
    assert out["first"] == ["10", "2", "3"]
    assert out["moved"] == ["1", "1", "1"]
    assert out["order"] == [["10", "2", "3"], ["2", "3", "10"], ["10", "3", "2"]]  # by number
    assert out["wide"] <= 500  # the narrowest window of Chromium without a display
