"""What docs/client.md shows works."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.integration.client_fixtures import EPOCHS, NIGHTS, PASSWORD, furnish
from tests.integration.facade_fixtures import Both, both, database, facade

__all__ = ["both", "database", "facade"]

pytestmark = pytest.mark.postgres
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
DOCUMENT = Path(__file__).parents[2] / "docs/client.md"


def test_the_document_does_what_it_says(
    both: Both,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    furnish(both[1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    said: dict[str, Any] = {"URL": f"http://127.0.0.1:{both[0].port}", "PASSWORD": PASSWORD}
    blocks = BLOCK.findall(DOCUMENT.read_text("utf-8"))
    for number, block in enumerate(blocks):
        exec(compile(block, f"client.md, block {number}", "exec"), said)  # noqa: S102
    try:
        assert said["names"] == ["bedroom"]
        assert len(said["frame"]) == NIGHTS
        assert said["frame"]["tst_min"].notna().all()
        assert len(said["hypnogram"]) == len(said["resting"]) + 8 == EPOCHS
        assert len(said["medians"]) == 4
        assert (tmp_path / "night.png").read_bytes().startswith(b"\x89PNG")
        assert capsys.readouterr().out.startswith("404 ")
    finally:
        said["noctis"].close()
