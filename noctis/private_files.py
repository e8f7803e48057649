"""Files that only their owner can read, replaced in one step."""

import os
import tempfile
from pathlib import Path

__all__ = ["write_private"]


def write_private(path: Path, content: str | bytes) -> None:
    """Replace a file in one step; only its owner can read it, and power cuts leave it whole."""
    data = content.encode() if isinstance(content, str) else content
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
