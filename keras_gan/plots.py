"""The curves of one or several trainings: as a PNG file, or as SVG for a page."""

import dataclasses
import io
import math
import xml.etree.ElementTree as ET

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from keras_gan import InputError
from keras_gan.files import read_history, replacing

# Okabe and Ito's colours, without yellow: the colour-blind can tell them apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MAX_POINTS = 300  # of a curve


@dataclasses.dataclass(frozen=True)
class Panel:
    """Columns of a history that share their axes; each column with its name in the legend."""

    ylabel: str
    columns: dict[str, str]
    equilibrium: float | None = None  # where the generated images are like the real ones
    settings: dict = dataclasses.field(default_factory=dict)
    second: tuple | None = None  # a second scale: its label, and the functions to it and back

    def measured(self, histories):
        """Whether any of the histories, {name: rows}, has one of the columns."""
        rows = (row for rows in histories.values() for row in rows)
        return any(name in row for row in rows for name in self.columns)

    def draw(self, axes, histories):
        """Draws the curves. Returns [(line, name of the history, label, points)]."""
        alone, drawn = len(histories) == 1, []
        for i, (history, rows) in enumerate(histories.items()):
            escaped = history.replace("$", r"\$")  # no formula
            for j, (name, label) in enumerate(self.columns.items()):
                points = [(row["epoch"] + 1, row.get(name, math.nan)) for row in rows]
                points = [point for point in points if math.isfinite(point[1])]
                points = points[:: -math.ceil(len(points) / MAX_POINTS) or None]
                style = {"color": COLORS[(j if alone else i) % len(COLORS)]}
                style["linestyle"] = "-" if alone or j == 0 else "--"
                style["label"] = label if alone else f"{escaped}: {label}"
                x, y = zip(*points or [(1, math.nan)], strict=True)
                (line,) = axes.plot(x, y, marker="o", markersize=3, **style)
                drawn.append((line, history, label, points))
        if self.equilibrium is not None:
            axes.axhline(self.equilibrium, color="grey", linewidth=0.8, linestyle=":")
        axes.set(xlabel="epoch", ylabel=self.ylabel, **self.settings)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if axes.get_yscale() == "log":
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        if self.second:
            label, functions = self.second
            axes.secondary_yaxis("right", functions=functions).set_ylabel(label)
        axes.legend(fontsize="small" if alone else "x-small", framealpha=0)
        return drawn


PANELS = (
    Panel("loss", {"d_loss": "discriminator", "g_loss": "generator"}),
    Panel(
        "probability of being real",
        {"d_real": "D(x), real", "d_fake": "D(G(z)), generated"},
        equilibrium=0.5,
        settings={"ylim": (0, 1)},
    ),
    Panel(
        "value V(D, G)",
        {"value": "V(D, G)"},
        equilibrium=-math.log(4),
        second=(  # Goodfellow et al. 2014, theorem 1
            "Jensen-Shannon divergence, nats",
            (lambda v: (v + math.log(4)) / 2, lambda d: 2 * d - math.log(4)),
        ),
    ),
    Panel("Frechet distance (fid)", {"fid": "generated to real"}, settings={"yscale": "log"}),
    Panel(
        "sliced Wasserstein distance (swd)",
        {"swd": "generated to real"},
        settings={"yscale": "log"},
    ),
)


def draw_curves(history, path):
    """Draws the `PANELS` of a history.csv that it has values for, as a PNG file.

    At most 300 values of each curve are drawn, evenly spaced, and always the last one.
    """
    rows = read_history(history)
    if not rows:
        raise InputError(f"{history}: it has no epochs.")
    panels = [panel for panel in PANELS if panel.measured({"": rows})]
    width = 5 * len(panels)
    figure = Figure(figsize=(width, 4))  # a layout engine would draw twice, once to measure
    margins = {"left": 0.65 / width, "right": 1 - 0.15 / width, "bottom": 0.14, "top": 0.96}
    figure.subplots_adjust(**margins, wspace=0.25)
    for panel, axes in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        panel.draw(axes, {"": rows})
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def svg(panel, histories):
    """A panel as an <svg> element, with a tooltip at each point, in the colour of the text."""
    figure = Figure(figsize=(5, 3.6))
    figure.subplots_adjust(left=0.14, right=0.86, bottom=0.14, top=0.97)
    tooltips = {}
    for i, (line, name, label, points) in enumerate(panel.draw(figure.subplots(), histories)):
        line.set_gid(f"curve-{i}")
        begin = f"{name}, {label}" if len(histories) > 1 else label
        tooltips[f"curve-{i}"] = [f"{begin}: {y:.4g} after epoch {x}" for x, y in points]
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none"}):  # text stays text
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    namespace = "http://www.w3.org/2000/svg"
    ET.register_namespace("", namespace)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(file.getvalue().replace("#000000", "currentColor"))
    root.remove(root.find(f"{{{namespace}}}metadata"))
    for group in root.iter(f"{{{namespace}}}g"):
        markers = group.iter(f"{{{namespace}}}use") if group.get("id") in tooltips else ()
        for marker, text in zip(markers, tooltips.get(group.get("id"), ()), strict=False):
            ET.SubElement(marker, f"{{{namespace}}}title").text = text
    for name in ("width", "height"):
        del root.attrib[name]  # the page gives the size
    return ET.tostring(root, encoding="unicode")
