"""Folders of colour pictures to try `train.py --data_path` on: the emoji of an installed font.

python -m benchmarks.emoji FOLDER           about 3,900 PNGs of 136 x 128, with transparency
python -m benchmarks.emoji FOLDER 200000    as many JPEGs of 64 x 64, on backgrounds of any colour

Needs Debian's package fonts-noto-color-emoji.
"""

import io
import sys
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"


def main(folder, count=None):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (strike,) = TTFont(FONT)["CBDT"].strikeData
    if count is None:
        for name, glyph in strike.items():
            (folder / f"{name}.png").write_bytes(glyph.imageData)
        return
    emoji = [Image.open(io.BytesIO(glyph.imageData)) for glyph in strike.values()]
    emoji = [image.convert("RGBA").resize((64, 64)) for image in emoji]
    rng = np.random.default_rng(0)
    for i in range(int(count)):
        part = folder / f"{i // 1000:03}"  # a thousand pictures each
        part.mkdir(exist_ok=True)
        picture = Image.new("RGBA", (64, 64), (*rng.integers(256, size=3), 255))
        picture.alpha_composite(emoji[rng.integers(len(emoji))])
        picture.convert("RGB").save(part / f"{i:06}.jpg")


if __name__ == "__main__":
    main(*sys.argv[1:])
