"""Characters drawn from a font."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

SIDE = 64  # pixels of a drawing, and of a coloured glyph once it is scaled down
MARGIN = 4
NOWHERE = "\U0010fffe"  # no character: a font draws what it has for those it lacks


class Pen:
    """Draws characters of one font, centred, as large as fits: dark on light, or in the font's own colours.

    colour_size: the one size, in pixels, at which a font of coloured bitmaps has them; None for outlines.
    """

    def __init__(self, font: Path, *, colour_size: int | None = None) -> None:
        from PIL import ImageFont

        size = colour_size or SIDE
        self.coloured = colour_size is not None
        self.font: FreeTypeFont = ImageFont.truetype(str(font), size, layout_engine=ImageFont.Layout.BASIC)
        self._missing = self._mask(NOWHERE)

    def draws(self, character: str) -> bool:
        """Whether the font has a glyph of its own for it."""
        mask = self._mask(character)
        return mask != self._missing and any(mask[1])

    def draw(self, character: str) -> np.ndarray[Any, Any]:
        """uint8 of shape [64, 64], or [64, 64, 3] in colours, on white."""
        from PIL import Image, ImageDraw

        left, top, right, bottom = (round(edge) for edge in self.font.getbbox(character))
        room = SIDE // 2  # ink may reach beyond what a font reserves for it
        ink = Image.new("RGBA", (right - left + 2 * room, bottom - top + 2 * room))
        corner = (room - left, room - top)
        ImageDraw.Draw(ink).text(corner, character, fill="black", font=self.font, embedded_color=self.coloured)
        ink = ink.crop(ink.getbbox())
        side = max(ink.size)
        square = Image.new("RGBA", (side, side), "white")
        square.alpha_composite(ink, ((side - ink.width) // 2, (side - ink.height) // 2))
        inner = square.resize((SIDE - 2 * MARGIN,) * 2, Image.Resampling.BICUBIC)
        framed = Image.new("RGB", (SIDE, SIDE), "white")
        framed.paste(inner, (MARGIN, MARGIN))
        return np.asarray(framed if self.coloured else framed.convert("L"))

    def _mask(self, character: str) -> tuple[tuple[int, int], bytes]:
        mask = self.font.getmask(character, mode="L")
        return mask.size, bytes(mask)
