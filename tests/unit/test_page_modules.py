"""The page's modules without a browser: their types, and what is pure by ``node --test``."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from api.assets import FOLDER, VENDOR
from tests.npm_packages import installed

CHECKS = Path(__file__).parents[1] / "page_checks"
INSTALLER = FOLDER.parents[1] / "scripts" / "page"
LONGEST = 200


def test_what_is_pure_does_what_it_says() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("this needs node (20 or newer)")
    tests = sorted(str(path) for path in CHECKS.glob("*.test.mjs"))
    done = subprocess.run(
        [node, "--test", *tests], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "# pass 0" not in done.stdout


def test_every_module_agrees_with_its_types() -> None:
    if not (FOLDER / "vendor" / "uplot.d.ts").exists():
        if os.environ.get("CI") == "true":
            pytest.fail("scripts/page was not run")
        pytest.skip("this needs what scripts/page installs")
    tools = installed(CHECKS)
    tsc = tools / "node_modules" / ".bin" / "tsc"
    done = subprocess.run(
        [tsc, "--project", CHECKS], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stdout


def test_modules_are_small() -> None:
    lengths = {
        path.name: len(path.read_text().splitlines()) for path in FOLDER.rglob("js/**/*.js")
    }
    assert lengths
    assert {name: n for name, n in lengths.items() if n > LONGEST} == {}


def takes() -> list[tuple[str, str]]:
    """What ``scripts/page`` takes: its path in npm's folder, its name."""
    return re.findall(r"^take (\S+) (\S+)$", INSTALLER.read_text(), re.MULTILINE)


def test_each_file_that_is_served_is_installed_by_a_hash_of_its_own() -> None:
    lines = (FOLDER / "vendor.sha256").read_text().splitlines()
    assert {line.split()[1] for line in lines} >= {Path(name).name for name in VENDOR}
    assert {line.split()[1] for line in lines} == {name for _, name in takes()}
    locked = json.loads((FOLDER / "package-lock.json").read_text())["packages"]
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert locked[""]["dependencies"] == wanted
    for name, package in locked.items():
        if name:
            assert package["integrity"].startswith("sha512-"), name
            assert "resolved" not in package, name


def test_what_is_taken_of_a_package_comes_with_its_licence() -> None:
    taken = [path for path, _ in takes()]
    wanted = json.loads((FOLDER / "package.json").read_text())["dependencies"]
    assert {f"{name}/LICENSE" for name in wanted} <= set(taken)
    for path in taken:
        assert any(path.startswith(f"{name}/") for name in wanted), path
