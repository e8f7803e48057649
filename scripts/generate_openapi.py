"""Write the facade's description, ``docs/openapi.json``, and ``docs/problems.md``.

Run it from the repository's root; ``--check`` only compares and fails on a difference. What
breaks programs that were written for the description before is not written: ``--breaking``
says that it is meant.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from api.app import create_app
from api.describing import operations_of
from api.problem_kinds import KINDS, uri_of
from noctis.settings import Settings
from scripts.openapi_changes import breaking

DESCRIPTION: Final = Path("docs/openapi.json")
PROBLEMS: Final = Path("docs/problems.md")
_HEAD: Final = """\
<!-- made by scripts/generate_openapi.py of api/problem_kinds.py, do not edit -->

# Problems

Every error of the facade but those of the token endpoint is `application/problem+json` (RFC
9457). `type` tells the kinds apart; these names are stable: none changes its meaning, and none
is used again for something else. `title` and `status` are those of HTTP, `detail` is about this
very case and may change its words, `instance` is the path. `about:blank` means what its status
means: 404 for what is not there (or another tenant's), 405, 406, 413, 416, 500.

| `type` | status | when | what to do |
|---|---|---|---|
"""


def description() -> dict[str, Any]:
    """Return the description of the facade as this source makes it."""
    with TemporaryDirectory() as folder:
        made: dict[str, Any] = create_app(Settings(var=Path(folder))).openapi()
    return made


def as_text(document: dict[str, Any]) -> str:
    """Return a description as its file holds it."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def problems_page(document: dict[str, Any]) -> str:
    """Return the page of all kinds of problems, with the operations that tell each."""
    lines = []
    for name, kind in KINDS.items():
        statuses = ", ".join(map(str, sorted(kind.statuses)))
        lines.append(f"| `{uri_of(name)}` | {statuses} | {kind.when} | {kind.cure} |")
    rest = ["", "## Who tells which", "", *_tellers(document)]
    return _HEAD + "\n".join([*lines, *rest])


def _tellers(document: dict[str, Any]) -> Iterator[str]:
    tells: dict[str, list[str]] = {name: [] for name in KINDS}
    for operation in operations_of(document):
        for name in {it for it in KINDS if uri_of(it) in _types(document, operation)}:
            tells[name].append(operation["operationId"])
    total = sum(1 for _ in operations_of(document))
    yield "| problem | operations |"
    yield "|---|---|"
    for name, operations in tells.items():
        few = total // 3
        told = ", ".join(sorted(operations)) if len(operations) <= few else "most"
        yield f"| `{name}` | {told or '`/internal` alone'} |"
    yield ""


def _types(document: dict[str, Any], operation: dict[str, Any]) -> set[str]:
    """Return the types of the problems that an operation answers with."""
    known = document["components"]["responses"]
    named = [it.get("$ref", "").rpartition("/")[2] for it in operation["responses"].values()]
    return {
        kind
        for name in named
        if name
        for media in known[name]["content"].values()
        for kind in media["schema"]["allOf"][1]["properties"]["type"]["enum"]
    }


def main() -> int:
    """Write or check the two files; return the exit code."""
    made = description()
    wanted = {DESCRIPTION: as_text(made), PROBLEMS: problems_page(made)}
    known = {path: path.read_text("utf-8") if path.exists() else "" for path in wanted}
    lost = breaking(json.loads(known[DESCRIPTION]), made) if known[DESCRIPTION] else []
    for line in lost:
        print(f"breaks programs: {line}", file=sys.stderr)
    stale = [str(path) for path in wanted if wanted[path] != known[path]]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path} is stale: run python -m scripts.generate_openapi", file=sys.stderr)
        return 1 if stale else 0
    if lost and "--breaking" not in sys.argv[1:]:
        print("nothing written; say --breaking where it is meant", file=sys.stderr)
        return 1
    for path, text in wanted.items():
        path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
