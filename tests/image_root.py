"""The image's file system, made as ``Dockerfile`` says, where there is no Docker. Root only.

    debootstrap --variant=minbase bookworm build/base
    python -m tests.image_root --base build/base --python ~/.pyenv/versions/3.12.1 \\
        --node /usr/local/lib/node-22 build/image

Each RUN line runs in a root of its own (chroot), as it stands there. In place of the base image
``python:3.12-slim-bookworm`` stands Debian's minimal system with a Python 3.12 put below
/usr/local, in that of ``node:22-bookworm-slim`` the same with a Node. ``--see`` shows it a
folder of this machine, such as an index of packages.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.dockerfile import ROOT, Step, sent, steps

PASSED_ON: Final = ("PIP_", "npm_config_", "SSL_", "http_proxy", "https_proxy")
"""Variables of this machine by which pip and apt find packages."""
NETWORK: Final = ("resolv.conf", "hosts", "pip.conf", "ssl")


@dataclass(slots=True)
class Stage:
    """A root that is being made."""

    root: Path
    folder: str = "/"
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )

    def inside(self, path: str) -> Path:
        """Return where a path of the stage is on this machine."""
        return self.root / str(Path(self.folder, path)).lstrip("/")


def main() -> int:
    """Make the root; 0 once the last stage stands."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="what debootstrap made")
    parser.add_argument("--python", type=Path, required=True, help="prefix of a Python 3.12")
    parser.add_argument("--node", type=Path, required=True, help="prefix of a Node with npm")
    parser.add_argument("--see", type=Path, action="append", default=[], help="a folder")
    parser.add_argument("target", type=Path, help="folder that is made")
    given = parser.parse_args()
    bases = {"python:3.12-slim-bookworm": given.python, "node:22-bookworm-slim": given.node}
    with tempfile.TemporaryDirectory(dir=given.target.absolute().parent) as drafts:
        stages: dict[str, Stage] = {}
        here = Stage(Path(drafts))
        for step in steps():
            if step.word == "FROM":
                base, _, name = step.rest.partition(" AS ")
                if base not in bases:
                    parser.error(f"the base {base} is not known here")
                here = stages[name] = Stage(Path(drafts) / (name or "last"))
                begin(here, given.base, bases[base])
            else:
                follow(here, step, stages, given.see)
        here.root.rename(given.target)
    return 0


def begin(stage: Stage, base: Path, prefix: Path) -> None:
    """Copy the base, and Python or Node to where its image has it."""
    subprocess.run(["cp", "-a", base, stage.root], check=True)
    subprocess.run(["cp", "-a", f"{prefix}/.", stage.root / "usr/local"], check=True)
    subprocess.run(["chroot", stage.root, "ldconfig"], check=True)


def follow(stage: Stage, step: Step, stages: dict[str, Stage], seen: Sequence[Path]) -> None:
    """Do one step."""
    sys.stderr.write(f"{step.word} {step.rest[:100]}\n")
    if step.word == "WORKDIR":
        stage.folder = step.rest
        stage.inside("").mkdir(parents=True, exist_ok=True)
    elif step.word == "ENV":
        path = stage.environment["PATH"]
        stage.environment |= {k: v.replace("$PATH", path) for k, v in step.variables}
    elif step.word == "COPY":
        copy(stage, step, stages)
    elif step.word == "RUN":
        run(stage, step.rest, seen)


def copy(stage: Stage, step: Step, stages: dict[str, Stage]) -> None:
    """Copy files of the project that Docker would send, or of another stage."""
    origin, sources, target = step.copied
    for source in sources:
        if not origin and not sent(source):
            message = f".dockerignore keeps {source} from Docker"
            raise SystemExit(message)
        found = stages[origin].inside(source) if origin else ROOT / source
        into = stage.inside(target)
        into.parent.mkdir(parents=True, exist_ok=True)
        if found.is_dir():
            shutil.copytree(
                found,
                into,
                symlinks=True,
                dirs_exist_ok=True,
                ignore=None if origin else shutil.ignore_patterns("__pycache__"),
            )
        else:
            shutil.copy2(found, into / source if target.endswith("/") else into)


def run(stage: Stage, command: str, seen: Sequence[Path]) -> None:
    """Run a line as root of the stage, with this machine's ways to packages."""
    variables = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
    arguments = ["chroot", str(stage.root), "/bin/sh", "-c", f"cd {stage.folder}; {command}"]
    with shown(stage.root, seen):
        subprocess.run(
            arguments, check=True, env={"HOME": "/root", **variables, **stage.environment}
        )


@contextmanager
def shown(root: Path, seen: Sequence[Path]) -> Iterator[None]:
    """Let a root see /dev, how names are resolved, and some folders, while the block runs."""
    places = [Path("/dev"), *(Path("/etc") / it for it in NETWORK), *seen]
    mounted = []
    try:
        for place in (it for it in places if it.exists()):
            target = root / str(place).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.mkdir(exist_ok=True) if place.is_dir() else target.touch()
            mode = "bind" if place.name == "dev" else "bind,ro"
            subprocess.run(["mount", "-o", mode, place, target], check=True)
            mounted.append(target)
        yield
    finally:
        for target in reversed(mounted):
            subprocess.run(["umount", target], check=True)


if __name__ == "__main__":
    sys.exit(main())
