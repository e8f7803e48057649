"""``Dockerfile``, read: as much of its language as it uses, and no more."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

__all__ = ["ROOT", "Image", "Step", "final", "image_folders", "sent", "steps"]

ROOT: Final = Path(__file__).parents[1]
WORDS: Final = frozenset({"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER"})


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction and what follows it, on one line."""

    word: str
    rest: str

    @property
    def copied(self) -> tuple[str, list[str], str]:
        """Of a COPY: the stage that it takes from ("": the project), sources, target."""
        *sources, target = shlex.split(self.rest)
        stage = ""
        if sources[0].startswith("--from="):
            stage = sources.pop(0).partition("=")[2]
        return stage, sources, target

    @property
    def variables(self) -> list[tuple[str, str]]:
        """Of an ENV: names and values."""
        return [(name, value) for name, _, value in (it.partition("=") for it in self._parts)]

    @property
    def _parts(self) -> list[str]:
        return shlex.split(self.rest)


@dataclass(slots=True)
class Image:
    """What containers of the image begin with."""

    environment: dict[str, str] = field(default_factory=dict)
    user: tuple[int, int] = (0, 0)
    folder: str = "/"


def steps() -> Iterator[Step]:
    """Yield the instructions in turn; raise ValueError for one that is not known here."""
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            if word not in WORDS:
                raise ValueError(line)
            yield Step(word, rest.strip())


def final(path: str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin") -> Image:
    """Return what the last stage leaves to containers, where ``path`` is the base's PATH."""
    image = Image({"PATH": path})
    for step in steps():
        if step.word == "FROM":
            image = Image({"PATH": path})
        elif step.word == "ENV":
            for name, value in step.variables:
                image.environment[name] = value.replace("$PATH", path)
        elif step.word == "USER":
            uid, _, gid = step.rest.partition(":")
            image.user = (int(uid), int(gid))
        elif step.word == "WORKDIR":
            image.folder = step.rest
    return image


def image_folders() -> set[str]:
    """Return the folders that the image makes for its user."""
    *_, made = (step.rest for step in steps() if step.word == "RUN")
    found = re.search(r"install -d -o noctis -g noctis -m 700 (.*)", made)
    assert found
    return set(found[1].split())


def sent(name: str) -> bool:
    """Tell whether ``.dockerignore`` lets something at the project's top into the build."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[0] == "*"
    return f"!{name}" in lines
