"""The firmware as a program: signals in, features out."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evaluation.datasets import DataError, find_device
from tests.reference.signals import Signals, read

SECONDS = 120


def device() -> str:
    """Return the path of noctis-device, or skip the test where it is not built."""
    try:
        return str(find_device())
    except DataError as missing:
        pytest.skip(str(missing))


def play(signals: Signals, folder: Path) -> NDArray[np.float64]:
    """Return the features (n, 15), NaN = missing, that the firmware makes of signals."""
    path = folder / "signals.csv"
    path.write_text(signals.table())
    return _values(["--signals", str(path)])


def night(arguments: list[str], epochs: int) -> tuple[Signals, NDArray[np.float64]]:
    """Return the signals of a night's first epochs and what the firmware makes of them."""
    process = subprocess.Popen(
        [device(), *arguments, "--to", "signals"], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        signals = read(process.stdout, end_ms=30_000 * epochs)
        process.kill()
    return signals, _values(arguments)[:epochs]


def _values(arguments: list[str]) -> NDArray[np.float64]:
    command = [device(), *arguments, "--to", "csv"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    _, *rows = csv.reader(done.stdout.splitlines())
    return np.array([[float(cell or "nan") for cell in row[3:]] for row in rows])
