"""Profiles: facades that somebody is logged in to, each a file that only he can read."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from filelock import FileLock, Timeout

from noctis.errors import ConfigurationError, NoctisError
from noctis.identity import parse_login
from noctis.private_files import write_private

__all__ = [
    "LOCAL",
    "Profile",
    "ProfileOption",
    "check_local",
    "chosen",
    "current",
    "held",
    "load",
    "names",
    "remove",
    "save",
    "use",
]

LOCAL: Final = "local"
"""The name of no profile: this machine's own platform."""
VARIABLE: Final = "NOCTIS_PROFILE"
LOCK_S: Final = 30.0
_ODD: Final = frozenset("/\\\0")


def names() -> list[str]:
    """Return the names of all profiles, sorted."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def _complete(incomplete: str) -> list[str]:
    return [name for name in [*names(), LOCAL] if name.startswith(incomplete)]


ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        envvar=VARIABLE,
        help=f"A facade that `noctis login` knows, or '{LOCAL}': this machine's own platform.",
        autocompletion=_complete,
    ),
]
"""The option ``--profile``."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A facade at ``url``, and what its caller proves himself with.

    ``login`` is ``name@tenant`` of a user, or of an app, which has a ``secret`` in place of a
    refresh token. ``expires_at``: of the access token, in seconds since 1970. ``ca``: a file
    with the certificate to trust, empty for those of the system.
    """

    name: str
    url: str
    login: str
    kind: Literal["user", "app"]
    access_token: str = field(repr=False)
    expires_at: float
    refresh_token: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)
    ca: str = ""

    @property
    def tenant(self) -> str:
        """The tenant whose things are asked for."""
        return parse_login(self.login)[1]


def load(name: str) -> Profile:
    """Return a profile; raise ConfigurationError for one that is not there, or damaged."""
    path = _path(name)
    try:
        return Profile(name=name, **json.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        known = ", ".join([*names(), LOCAL])
        message = f"there is no profile {name!r}"
        raise ConfigurationError(
            message, hint=f"noctis login URL makes one; known are {known}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        message = f"{path} is no profile: {error}"
        raise ConfigurationError(message, hint=f"noctis profile remove {name}") from error


def save(profile: Profile) -> None:
    """Keep a profile, in place of one of the same name."""
    content = asdict(profile)
    del content["name"]
    path = _path(profile.name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(path, json.dumps(content, indent=2) + "\n")
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}"
        raise ConfigurationError(
            message, hint="see to the folder, or set XDG_CONFIG_HOME"
        ) from error


def remove(name: str) -> None:
    """Forget a profile; commands that used it work on this machine's platform again."""
    path = _path(name)
    path.unlink(missing_ok=True)
    path.with_suffix(".lock").unlink(missing_ok=True)
    if _current() == name:
        use(LOCAL)


def use(name: str) -> None:
    """Have commands ask this facade where neither option nor variable names one."""
    if name == LOCAL:
        _pointer().unlink(missing_ok=True)
        return
    load(name)
    write_private(_pointer(), f"{name}\n")


def current() -> str:
    """Return the name that holds without an option: of the variable, else of ``use``."""
    return os.environ.get(VARIABLE) or _current() or LOCAL


def chosen(option: str | None) -> Profile | None:
    """Return the profile that a command is to use; None for this machine's own platform.

    An option that names one holds for the rest of the command.
    """
    if option:
        os.environ[VARIABLE] = option
    name = current()
    return None if name == LOCAL else load(name)


def check_local() -> None:
    """Raise ConfigurationError where commands are to ask a facade: this one cannot."""
    name = current()
    if name != LOCAL:
        message = f"this works on the platform itself; the profile {name!r} is a facade"
        hint = f"run it where the platform runs, with {VARIABLE}={LOCAL}"
        raise ConfigurationError(message, hint=hint)


@contextmanager
def held(name: str) -> Iterator[None]:
    """Keep other commands from renewing a profile's tokens: each works but once."""
    try:
        with FileLock(_path(name).with_suffix(".lock"), timeout=LOCK_S, mode=0o600):
            yield
    except Timeout as error:
        message = f"another command renews the profile {name!r} for too long"
        raise NoctisError(message, hint="end it, and try again") from error


def _folder() -> Path:
    return Path(typer.get_app_dir("noctis")) / "profiles"


def _pointer() -> Path:
    return _folder() / "current"


def _current() -> str:
    try:
        return _pointer().read_text("utf-8").strip()
    except OSError:
        return ""


def _path(name: str) -> Path:
    if not name or name == LOCAL or name.startswith(".") or _ODD & set(name):
        message = f"{name!r} cannot be the name of a profile"
        raise ConfigurationError(message, hint="use letters, digits, '.' and '-'")
    return _folder() / f"{name}.json"
