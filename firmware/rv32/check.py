"""Run the core on rv32imac in qemu: the golden vectors, and the same epochs as on this machine.

Prints what the core takes there and writes it to BUILD/report.json. The exit code is 0 only if
every check passed. Where the cross compiler or qemu is missing, the step is left out, but with
CI=true in the environment that is an error.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from noctis.errors import NoctisError

FIRMWARE = Path(__file__).resolve().parents[1]
PREFIX = "riscv64-unknown-elf-"
QEMU = "qemu-system-riscv32"
PACKAGES = (
    "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf libstdc++-arm-none-eabi-newlib"
    " qemu-system-misc"
)
# One instruction a nanosecond of virtual time: the instruction counter then counts exactly.
MACHINE = (
    *("-M", "virt", "-bios", "none", "-display", "none", "-icount", "shift=0"),
    *("-serial", "none", "-monitor", "none", "-chardev", "stdio,id=out"),
    *("-semihosting-config", "enable=on,target=native,chardev=out"),
)
TIMEOUT_S = 300
SHARED = ("epoch", "spool", "status")  # lines that must be the same on every machine
ALLOCATION = re.compile(r"_*(malloc|calloc|realloc)(_r)?|_Zn[wa].*")
COLUMNS = {
    "sizeof": ("bytes",),
    "measured": ("instructions", "stack_bytes"),
    "flash": ("reads", "bytes"),
}

Report = dict[str, Any]


class CheckError(NoctisError):
    """The core does not do on the target what it should; says what."""


def run(*command: str | Path) -> str:
    """Return what a command prints; raise with all of it if it fails or hangs."""
    name = " ".join(str(part) for part in command)
    try:
        done = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            text=True,
        )
    except subprocess.TimeoutExpired as error:
        message = f"no end within {TIMEOUT_S} s: {name}"
        raise CheckError(message) from error
    if done.returncode != 0:
        message = f"{done.stdout}exit code {done.returncode}: {name}"
        raise CheckError(message)
    return done.stdout


def build(folder: Path) -> None:
    """Build the core and its checks for the target."""
    toolchain = FIRMWARE / "rv32" / "rv32imac.cmake"
    configure = [f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DCMAKE_BUILD_TYPE=MinSizeRel"]
    run("cmake", "-S", FIRMWARE, "-B", folder, *configure)
    run("cmake", "--build", folder, "--parallel", "2")


def shared(output: str) -> list[str]:
    """Return the lines that do not depend on the machine."""
    return [line for line in output.splitlines() if line.startswith(SHARED)]


def compare(here: str, there: str) -> int:
    """Compare what two machines said; return the number of lines that are the same."""
    ours, theirs = shared(here), shared(there)
    if not ours:
        message = "the checks say no line that could be compared"
        raise CheckError(message)
    for our, their in zip(ours, theirs, strict=False):
        if our != their:
            message = f"the machines differ.\n  this one: {our}\n  rv32imac: {their}"
            raise CheckError(message)
    if len(ours) != len(theirs):
        message = f"this machine says {len(ours)} lines, rv32imac {len(theirs)}"
        raise CheckError(message)
    return len(ours)


def sizes(archive: Path) -> Report:
    """Return text, data and bss of each file of the core and of all, in bytes."""
    files = {}
    for line in run(f"{PREFIX}size", archive).splitlines()[1:]:
        text, data, bss, _, _, name, *_ = line.split()
        files[name.removesuffix(".cpp.obj")] = (int(text), int(data), int(bss))
    files["all"] = tuple(sum(column) for column in zip(*files.values(), strict=True))
    return {
        name: dict(zip(("text", "data", "bss"), row, strict=True))
        for name, row in files.items()
    }


def refuse_heap(archive: Path) -> None:
    """Raise if anything in the core allocates memory."""
    for line in run(f"{PREFIX}nm", "--undefined-only", archive).splitlines():
        symbol = line.split()[-1] if line else ""
        if ALLOCATION.fullmatch(symbol):
            message = f"{archive.name} allocates memory: {symbol}"
            raise CheckError(message)


def numbers(output: str, key: str) -> Report:
    """Return the lines `key name number...` of the checks."""
    rows = [line.split() for line in output.splitlines() if line.startswith(key + " ")]
    return {
        name: dict(zip(COLUMNS[key], map(int, values), strict=True))
        for _, name, *values in rows
    }


def show(report: Report) -> None:
    """Print the report as tables."""
    for title, rows in report.items():
        columns = list(next(iter(rows.values())))
        print(f"{title:<20}" + "".join(f"{column:>14}" for column in columns))
        for name, row in rows.items():
            print(f"  {name:<18}" + "".join(f"{row[column]:>14,}" for column in columns))


def check(native: Path, folder: Path) -> Report:
    """Build, run and compare; return what was measured."""
    build(folder)
    core = folder / "libnoctis_core.a"
    refuse_heap(core)
    program = folder / "rv32" / "noctis_target_checks"
    there = run(QEMU, *MACHINE, "-kernel", program)
    same = compare(run(native), there)
    print(f"rv32imac passes the golden vectors and says the same as this machine, {same} lines")
    return {"code": sizes(core), **{key: numbers(there, key) for key in COLUMNS}}


def main() -> int:
    """Run the checks; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("native", type=Path, help="noctis_target_checks of this machine")
    parser.add_argument("build", type=Path, help="folder to build in")
    arguments = parser.parse_args()
    missing = [name for name in (f"{PREFIX}gcc", QEMU) if shutil.which(name) is None]
    if missing:
        print(f"rv32: left out, {' and '.join(missing)} missing: install {PACKAGES}")
        return 1 if os.environ.get("CI") == "true" else 0
    try:
        report = check(arguments.native.resolve(), arguments.build.resolve())
    except CheckError as error:
        print(f"rv32: {error}", file=sys.stderr)
        return 1
    (arguments.build / "report.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
