"""A version as it is sent: a zip of the files of its folder, unpacked with mistrust."""

import stat
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from noctis.errors import NoctisError

__all__ = ["MOST_BYTES", "ArchiveError", "unpack"]

MOST_FILES: Final = 32
MOST_BYTES: Final = 256 << 20
"""What a version may take on the disk. The shipped one takes 0.8 MB."""

CHUNK: Final = 1 << 16
_ENCRYPTED: Final = 0x1


class ArchiveError(NoctisError):
    """Bytes that are no zip of a version's files."""


def unpack(file: BinaryIO, folder: Path) -> None:
    """Write the files of a zip into ``folder``; raise ArchiveError, and say what is wrong.

    Files lie at the zip's root. What they really unpack to is counted: a zip says of itself
    what it likes.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            _check(entries)
            left = MOST_BYTES
            for entry in entries:
                left -= _write(archive, entry, folder / entry.filename, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        message = f"the zip is torn or damaged: {error}"
        raise ArchiveError(message, hint="send it again") from error
    except (RuntimeError, ValueError, OSError, OverflowError) as error:
        message = f"the zip cannot be read: {error}"
        raise ArchiveError(
            message, hint="make it anew, plain and without a password"
        ) from error


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if not 0 < len(entries) <= MOST_FILES:
        message = f"the zip holds {len(entries)} files, and 1 to {MOST_FILES} are a version"
        raise ArchiveError(message, hint="zip the files of one version's folder")
    names = [entry.filename for entry in entries]
    for entry in entries:
        if not _is_plain(entry) or names.count(entry.filename) > 1:
            message = f"{entry.filename!r} is no name of a version's file, or comes twice"
            raise ArchiveError(message, hint="zip the files without a folder: zip -j")
        if entry.file_size > MOST_BYTES or entry.flag_bits & _ENCRYPTED:
            message = f"{entry.filename} is encrypted, or too large"
            raise ArchiveError(message, hint=f"a version has {MOST_BYTES >> 20} MiB at most")


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Tell whether an entry is a file with a harmless name of its own, in no folder."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    name = entry.filename
    letters = name.replace("_", "").replace("-", "").replace(".", "")
    return (
        kind in {0, stat.S_IFREG}
        and name.isascii()
        and letters.isalnum()
        and name[0] not in ".-"
        and len(name) <= 64  # noqa: PLR2004 - longer than any of ours
    )


def _write(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left: int) -> int:
    """Write one file of ``left`` bytes at most; return how many it has."""
    written = 0
    with archive.open(entry) as source, path.open("xb") as target:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > left:
                message = f"the zip unpacks to more than {MOST_BYTES >> 20} MiB"
                raise ArchiveError(message, hint="send the files of one version alone")
            target.write(chunk)
    return written
