"""Signals with a known answer, as each sensor would say them."""

import struct
from collections.abc import Callable

import numpy as np

from tests.reference.signals import LSB_PER_G, mr60bha2, r60abd1

Signal = Callable[[float], float]
Vector = Callable[[float], tuple[float, float, float]]
Uart = list[tuple[int, bytes]]


def radar_8_hz(
    end_s: float,
    *,
    heart: Signal | None = None,
    breath: Signal | None = None,
    wave: Signal | None = None,
    presence: Signal = lambda _: 1,
) -> Uart:
    """Return what an MR60BHA2 says: everything eight times a second."""
    said = []
    for ms in range(0, round(1000 * end_s), 125):
        at = ms / 1000
        data = mr60bha2(0x0F09, bytes([round(presence(at))]))
        if heart:
            data += mr60bha2(0x0A15, struct.pack("<f", heart(at)))
        if breath:
            data += mr60bha2(0x0A14, struct.pack("<f", breath(at)))
        if wave:
            data += mr60bha2(0x0A13, struct.pack("<3f", 0.0, wave(at), 0.0))
        said.append((ms, data))
    return said


def radar_5_hz(
    end_s: float,
    *,
    heart: Signal | None = None,
    breath: Signal | None = None,
    wave: Signal | None = None,
) -> Uart:
    """Return what a radar of the ``53 59`` family says: five phases once a second."""
    said = []
    for ms in range(950, round(1000 * end_s), 1000):
        at = ms / 1000
        data = r60abd1(0x8003, b"\x01")
        if heart and ms % 3000 < 1000:
            data += r60abd1(0x8502, bytes([round(heart(at))]))
        if breath and ms % 3000 < 1000:
            data += r60abd1(0x8102, bytes([round(breath(at))]))
        if wave:
            phases = [wave(at - 0.2 * (4 - i)) for i in range(5)]
            data += r60abd1(0x8105, bytes(round(128 + 1000 * phase) for phase in phases))
        said.append((ms, data))
    return said


def accelerometer(end_s: float, acceleration: Vector) -> list[tuple[int, int, int, int]]:
    """Return 50 Hz samples of an acceleration in g; its last bit alternates, as if alive."""
    rows = []
    for ms in range(0, round(1000 * end_s), 20):
        x, y, z = (round(LSB_PER_G * axis) for axis in acceleration(ms / 1000))
        rows.append((ms, x + ms // 20 % 2, y, z))
    return rows


def breaths(lengths: list[float], depths: list[float]) -> Signal:
    """Return breaths of these lengths (s) and depths (rad), in turns, upwards from 0 s."""

    def wave(at: float) -> float:
        start, number = 0.0, 0
        while at >= start + lengths[number % len(lengths)]:
            start += lengths[number % len(lengths)]
            number += 1
        share = (at - start) / lengths[number % len(lengths)]
        return float(depths[number % len(depths)] * np.sin(2 * np.pi * share))

    return wave
