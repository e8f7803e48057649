"""Images of firmware to be rolled out: noctis-device under other numbers, and bad ones."""

import struct
from pathlib import Path

from cli.service import device_program
from noctis.firmware import MAGIC

ID = struct.Struct("<I16s32s")


def _id(build: int, version: str) -> bytes:
    return ID.pack(build, b"host", version.encode())


def sound(folder: Path, build: int) -> Path:
    """Write noctis-device as another build; it says so itself."""
    code = bytearray(Path(device_program()).read_bytes())
    at = code.index(MAGIC) + len(MAGIC)
    code[at : at + ID.size] = _id(build, f"0.{build}.0")
    return _written(folder, build, bytes(code))


def crashing(folder: Path, build: int) -> Path:
    """Write a program that ends as soon as it is started."""
    return _script(folder, build, "exit 3")


def mute(folder: Path, build: int) -> Path:
    """Write a program that runs as it should, but looks for the broker elsewhere."""
    return _script(folder, build, f'exec {device_program()} "$@" --port 9')


def _script(folder: Path, build: int, line: str) -> Path:
    text = f"#!/bin/sh\n{line}\n".encode()
    return _written(folder, build, text + MAGIC + _id(build, f"0.{build}.0"))


def _written(folder: Path, build: int, content: bytes) -> Path:
    path = folder / f"image-{build}"
    path.write_bytes(content)
    path.chmod(0o755)
    return path
