"""Settings: what is misspelt, what is too easy to guess, what others can read."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from broker.__main__ import BrokerSettings
from broker.authority import AuthoritySettings
from cli.doctor.findings import Finding, Topic
from cli.doctor.site import DoctorSettings, Site
from noctis import settings
from noctis.errors import ConfigurationError
from noctis.settings import Settings

__all__ = ["KNOWN", "look"]

_topic: Final = Topic("settings")
SHORTEST: Final = 12
WEAK: Final = frozenset(
    {"changeme", "password", "secret", "noctis", "admin", "test", "letmein", "postgres"}
)
OF_PROGRAMS: Final = frozenset(
    {
        *("FAULTS", "FAULT_POINTS", "POSTGRES_BIN", "MOSQUITTO", "PROFILE", "PASSWORD"),
        *("SERVICE_PASSWORD", "WIFI_PASSWORD", "DEVICE_PASSWORD", "USER_PASSWORD"),
        *("SECRETS", "HOSTS"),
    }
)
KNOWN: Final = frozenset(
    f"{model.model_config['env_prefix']}{name}".upper()
    for model in (Settings, BrokerSettings, AuthoritySettings, DoctorSettings)
    for name in model.model_fields
) | {f"NOCTIS_{it}" for it in OF_PROGRAMS}
"""Every variable that some program of ours reads."""

_FOREIGN: Final = ("NOCTIS_TEST_", "NOCTIS_NIGHTS")


def look(site: Site) -> Iterator[Finding]:
    """Read the environment and ``.env``, and the modes of files with secrets."""
    try:
        settings.load(var=site.var)
    except ConfigurationError as error:
        yield _topic.fault(
            "senseless",
            error.message,
            means="no service starts with them",
            cure="set it right; .env.example shows each",
        )
    file = Path(".env")
    written = _read(file)
    yield from _unknown({**written, **os.environ})
    yield from _weak({**written, **os.environ})
    if os.environ.get("NOCTIS_FAULTS"):
        yield _topic.warning(
            "faults-allowed",
            "NOCTIS_FAULTS is set: faults can be brought about on purpose",
            means="whoever may ask for them can stop the platform",
            cure="unset NOCTIS_FAULTS, and start the services again",
        )
    yield from _open([file, *_secrets(site.var)])


def _read(file: Path) -> Mapping[str, str]:
    try:
        return {name: value or "" for name, value in dotenv_values(file).items()}
    except OSError:
        return {}


def _unknown(variables: Mapping[str, str]) -> Iterator[Finding]:
    ours = {it for it in variables if it.startswith("NOCTIS_")}
    strange = sorted(it for it in ours - KNOWN if not it.startswith(_FOREIGN))
    for name in strange:
        yield _topic.warning(
            "unknown",
            f"nothing reads the variable {name}",
            means="what it was meant to set is as it always is",
            cure="is it misspelt? .env.example lists them all",
            of=name,
        )
    if not strange:
        yield _topic.ok("known", f"{len(ours)} variables are set, all of them known")


def _weak(variables: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted(it for it in variables if it.startswith("NOCTIS_")):
        value = variables[name]
        if name.endswith("PASSWORD") and value and _is_weak(value):
            yield _topic.warning(
                "weak-password",
                f"{name} is short or one of the first that anybody tries",
                means="who reaches the port is in",
                cure="python3 -c 'import secrets; print(secrets.token_urlsafe(24))'",
                of=name,
            )


def _is_weak(value: str) -> bool:
    return len(value) < SHORTEST or value.lower() in WEAK


def _secrets(var: Path) -> Iterator[Path]:
    yield from (var / name for name in ("credentials.json", "run.json"))
    for folder in ("keys", "firmware-keys"):
        try:
            yield from (it for it in sorted((var / folder).iterdir()) if it.name[0] != ".")
        except OSError:
            continue


def _open(files: list[Path]) -> Iterator[Finding]:
    for path in files:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield _topic.warning(
                "file-open",
                f"others on this machine may read {path} ({stat.filemode(mode)})",
                means="it holds passwords or keys",
                cure=f"chmod 600 {path}",
                of=path.name,
            )
