"""Handwriting-like digits from a seed, for machines without MNIST."""

import numpy as np

# Pen strokes of the ten digits: control points "xy" in tenths of a square, y downwards, for a
# Catmull-Rom spline.
_STROKES = (
    ["51 33 37 59 77 73 51"],
    ["43 51 55 59"],
    ["33 51 73 56 39 59 89"],
    ["32 51 73 55 77 59 38"],
    ["61 44 26 56 86", "64 69"],
    ["71 41 34 64 77 59 38"],
    ["61 44 37 59 77 56 37"],
    ["21 51 81 65 49"],
    ["55 33 51 73 55", "55 37 59 77 55"],
    ["73 55 33 51 73 76 59"],
)

# Rows: powers 0 to 3 of t; columns: the four control points around a segment.
_CATMULL_ROM = np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2


def digits(count, seed):
    """Draws digits that vary in strokes, slant, scale, rotation, position and thickness.

    Returns:
        images uint8 [count, 28, 28, 1] and labels uint8 [count], ten equally likely classes.
    """
    rng = np.random.default_rng(seed)
    labels = rng.integers(10, size=count, dtype=np.uint8)
    images = np.zeros([count, 28, 28, 1], np.uint8)
    for digit, strokes in enumerate(_STROKES):
        where = np.flatnonzero(labels == digit)
        for chunk in np.array_split(where, len(where) // 1000 + 1):  # limits the memory
            images[chunk, ..., 0] = _draw(strokes, len(chunk), rng)
    return images, labels


def _draw(strokes, count, rng):
    """Draws one digit `count` times, uint8 [count, 28, 28]."""
    points = []
    for stroke in strokes:
        control = np.array([[int(x), int(y)] for x, y in stroke.split()]) / 10 - 0.5
        control = control + rng.normal(0, 0.035, [count, *control.shape])
        points.append(_spline(control, 12))
    points = np.concatenate(points, axis=1)  # [count, P, (x, y)], about (0, 0)
    angle, slant = rng.normal(0, 0.1, [count, 1]), rng.normal(0.15, 0.2, [count, 1])
    width, height = rng.normal(0.85, 0.08, [count, 1]), rng.normal(1, 0.06, [count, 1])
    x, y = points[..., 0] * width, points[..., 1] * height
    x = x - slant * y
    x, y = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    x = 13.5 + 20 * x + rng.normal(0, 0.6, [count, 1])
    y = 13.5 + 20 * y + rng.normal(0, 0.6, [count, 1])
    # Ink is a sum of Gaussian dots along the strokes; each is a product of a row and a column.
    radius = rng.uniform(0.55, 1.0, [count, 1, 1])
    grid = np.arange(28)
    columns = np.exp(-(((x[..., None] - grid) / radius) ** 2) / 2)
    rows = np.exp(-(((y[..., None] - grid) / radius) ** 2) / 2)
    ink = rows.swapaxes(1, 2).astype(np.float32) @ columns.astype(np.float32)
    return (255 * np.clip(1.6 * ink - 0.2, 0, 1)).astype(np.uint8)


def _spline(control, per_segment):
    """Points on the Catmull-Rom splines through `control`, [n, K, 2] -> [n, P, 2]."""
    ends = 2 * control[:, [0, -1]] - control[:, [1, -2]]
    control = np.concatenate([ends[:, :1], control, ends[:, 1:]], axis=1)
    windows = np.stack([control[:, i : i - 3 or None] for i in range(4)], axis=2)
    t = np.arange(per_segment)[:, None] / per_segment
    points = t ** np.arange(4) @ _CATMULL_ROM @ windows  # [n, segments, per_segment, 2]
    return points.reshape(len(control), -1, 2)
