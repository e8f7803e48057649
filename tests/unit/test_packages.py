import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"][
    "targets"
]["wheel"]["packages"]


def test_nobody_else_owns_our_import_names() -> None:
    strangers = {
        (distribution.name, path.parts[0])
        for distribution in distributions()
        if distribution.name != "noctis"
        for path in distribution.files or ()
        if path.parts[0] in OURS
    }
    assert not strangers


def test_every_package_of_ours_exists() -> None:
    assert all((ROOT / name / "__init__.py").exists() for name in OURS)


@pytest.mark.parametrize("lock", ["requirements.lock", "tests/oracle/requirements.txt"])
def test_a_lock_file_pins_hashes_and_names_no_place(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert sum("--hash=sha256:" in line for line in lines) > 100
    assert not [line for line in lines if "://" in line or "--index" in line]
