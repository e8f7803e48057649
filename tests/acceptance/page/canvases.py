"""What is really painted on the page: the colours of its canvases where an epoch stands."""

from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from playwright.sync_api import Locator

__all__ = ["COLOURS", "LANES", "Painted", "painted"]

LANES: Final = ("deep", "light", "rem", "wake")
"""From the bottom; the lowest is at 0 of an axis from -0.6 to 3.6."""

COLOURS: Final = {
    "wake": (0xE6, 0x9F, 0x00),
    "rem": (0xAA, 0x33, 0x77),
    "light": (0x44, 0x77, 0xAA),
    "deep": (0x1B, 0x2A, 0x49),
}
"""As the design names them, on light."""

READ: Final = """(chart) => {
  const canvas = chart.querySelector("canvas");
  const over = chart.querySelector(".u-over").getBoundingClientRect();
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  const [x, y] = [(over.left - box.left) * ratio, (over.top - box.top) * ratio].map(Math.round);
  const [width, height] = [over.width * ratio, over.height * ratio].map(Math.round);
  const { data } = canvas.getContext("2d").getImageData(x, y, width, height);
  let text = "";
  for (let at = 0; at < data.length; at += 8192) {
    text += String.fromCharCode(...data.subarray(at, at + 8192));
  }
  return { width, height, data: btoa(text) };
}"""
CLEAR: Final = 3
"""Pixels from the edge of a stretch on which neighbours and round corners do not paint."""


@dataclass(frozen=True, slots=True)
class Painted:
    """The plotting area of a chart: RGBA, row by row."""

    width: int
    height: int
    data: bytes

    def at(self, x: float, y: float) -> tuple[int, ...]:
        """Return the colour at a place from 0 to 1, opaque or nothing at all."""
        column = min(int(x * self.width), self.width - 1)
        row = min(int(y * self.height), self.height - 1)
        start = 4 * (row * self.width + column)
        return tuple(self.data[start : start + 3]) if self.data[start + 3] == 255 else ()

    def stages(self, x: float) -> set[str]:
        """Return the stages that are painted at a place from 0 to 1, each in its own lane."""
        return {
            stage
            for lane, stage in enumerate(LANES)
            if self.at(x, (3.6 - lane) / 4.2) == COLOURS[stage]
        }

    @property
    def colours(self) -> set[tuple[int, ...]]:
        """All colours but nothing."""
        pixels = np.frombuffer(self.data, np.uint8).reshape(-1, 4)
        return {
            tuple(it) for it in np.unique(pixels[pixels[:, 3] == 255], axis=0)[:, :3].tolist()
        }

    def wrong(self, stages: list[str]) -> list[tuple[int, str, set[str]]]:
        """Return the epochs where something else is painted than what is stored.

        Each: its number, what is stored, what is painted. Too near to a change none is judged.
        """
        count = len(stages)
        near = max(1, round(CLEAR * count / self.width))
        found = []
        for number, stage in enumerate(stages):
            if len(set(stages[max(0, number - near) : number + near + 1])) > 1:
                continue
            told = self.stages((number + 0.5) / count)
            if told != ({stage} & set(LANES)):
                found.append((number, stage, told))
        return found


def painted(chart: Locator) -> Painted:
    """Return what is painted on the first chart of some."""
    value: Any = chart.first.evaluate(READ)
    return Painted(value["width"], value["height"], b64decode(value["data"]))
