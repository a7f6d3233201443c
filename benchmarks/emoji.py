"""A folder of colour pictures to try `train.py --data_path` on: the emoji of an installed font.

python -m benchmarks.emoji FOLDER

Needs Debian's package fonts-noto-color-emoji. Writes each bitmap of the font, a PNG of 136 x 128
pixels with transparency, as it is.
"""

import sys
from pathlib import Path

from fontTools.ttLib import TTFont

FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for strike in TTFont(FONT)["CBDT"].strikeData:
        for name, glyph in strike.items():
            (folder / f"{name}.png").write_bytes(glyph.imageData)
            count += 1
    print(f"{count} pictures: {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
