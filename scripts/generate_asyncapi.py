"""Write the description of the MQTT topics, ``docs/asyncapi.yaml``.

Run it from the repository's root; ``--check`` only compares and fails on a difference.
"""

import sys
from pathlib import Path
from typing import Final

from scripts.asyncapi import as_text, document

DESCRIPTION: Final = Path("docs/asyncapi.yaml")


def main() -> int:
    """Write or check the file; return the exit code."""
    wanted = as_text(document())
    if "--check" not in sys.argv[1:]:
        DESCRIPTION.write_text(wanted, "utf-8")
        return 0
    if DESCRIPTION.exists() and DESCRIPTION.read_text("utf-8") == wanted:
        return 0
    print(f"{DESCRIPTION} is stale: run python -m scripts.generate_asyncapi", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
