"""What monitors are told of the disk that a service's files are on."""

import shutil
from pathlib import Path

from prometheus_client import Gauge

__all__ = ["watch"]

_free = Gauge("noctis_disk_free_bytes", "Free on the disk of the service's own folder.")
_size = Gauge("noctis_disk_size_bytes", "Size of the disk of the service's own folder.")


def watch(folder: Path) -> None:
    """Tell of the disk of a folder, or of the one that it will be made in, when asked."""
    existing = next(it for it in (folder.absolute(), *folder.absolute().parents) if it.exists())
    _free.set_function(lambda: shutil.disk_usage(existing).free)
    _size.set_function(lambda: shutil.disk_usage(existing).total)
