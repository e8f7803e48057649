import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
NAMED = re.findall(r"`((?:tests|firmware/test)/[\w/.]+\.(?:py|cpp))(?:::([^`]+))?`", PAGE)


def names_in(path: Path) -> set[str]:
    """Return the names of the tests of a file, of Python or of C++."""
    text = path.read_text("utf-8")
    if path.suffix == ".cpp":
        return set(re.findall(r'^TEST_CASE\("([^"]+)"\)', text, re.MULTILINE))
    return {
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_test_that_the_page_names_exists() -> None:
    assert len(NAMED) > 50
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if not (ROOT / path).is_file() or (name and name not in names_in(ROOT / path))
    ]
    assert missing == []


def test_every_threat_names_what_shows_that_it_is_met() -> None:
    rows = re.findall(r"^\| [STRIDE] \|.*$", PAGE, re.MULTILINE)
    assert len(rows) >= 25
    assert [row for row in rows if "`tests/" not in row and "`firmware/test/" not in row] == []
    assert {row[2] for row in rows} == set("STRIDE")


def test_the_page_s_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([\w./-]+\.md)", PAGE):
        assert (ROOT / "docs" / target).is_file(), target
