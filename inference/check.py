"""``python -m inference.check FOLDER``: load a version as a service would, in a process apart.

A graph that was sent by somebody may take all memory, never end, or crash what reads it; here
it takes this process with it, and no other. Prints one JSON value: ``{"model": …}``, or
``{"error": …}`` and exits with 1.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Final

from inference import versions
from noctis.errors import ModelError

__all__ = ["main"]

MOST_BYTES: Final = 4 << 30  # of address space; ONNX Runtime maps far more than it uses
MOST_SECONDS: Final = 60
"""Of processor time: the shipped model takes a fifth of a second."""


def main() -> int:
    """Load the version in the folder that the command line names."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        told = {"model": versions.load(Path(sys.argv[1])).manifest.full_name}
    except (ModelError, MemoryError) as error:
        told = {"error": str(error) or "it takes too much memory"}
    sys.stdout.write(json.dumps(told) + "\n")
    return int("error" in told)


if __name__ == "__main__":
    sys.exit(main())
