"""Programs that the platform runs: whether they are here, of a version that will do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from cli.service import device_program
from noctis.errors import ConfigurationError, ProcessError
from noctis.storage import binaries

__all__ = ["look"]

_topic: Final = Topic("tools")
_PLACES: Final = ":/usr/sbin:/sbin"


def look(site: Site) -> Iterator[Finding]:
    """Look for what ``noctis up`` needs; where services run in containers, for nothing."""
    if not site.is_embedded and (site.own.services or "NOCTIS_DATABASE_URL" in os.environ):
        yield _topic.ok("elsewhere", "database and broker run elsewhere: nothing is needed")
        return
    yield _mosquitto()
    yield _postgres(site)
    yield _device()


def _mosquitto() -> Finding:
    asked = os.environ.get("NOCTIS_MOSQUITTO", "mosquitto")
    found = shutil.which(asked, path=os.environ.get("PATH", "") + _PLACES)
    if found:
        return _topic.ok("mosquitto", f"the broker: {found}")
    return _topic.fault(
        "mosquitto",
        f"the MQTT broker {asked} is not here",
        means="noctis up cannot start",
        cure="apt-get install mosquitto, brew install mosquitto, or set NOCTIS_MOSQUITTO",
    )


def _postgres(site: Site) -> Finding:
    folder = site.var / "postgres"
    major = None
    with suppress(OSError, ValueError):
        major = int((folder / "data" / "PG_VERSION").read_text())
    try:
        found = binaries.find(major=major, copies=folder, user=None)
    except ConfigurationError as error:
        return _topic.fault(
            "postgresql",
            error.message,
            means="noctis up cannot start the database",
            cure=error.hint,
        )
    return _topic.ok("postgresql", f"PostgreSQL {found.major}: {found.folder}")


def _device() -> Finding:
    try:
        return _topic.ok("device", f"the virtual device: {device_program()}")
    except ProcessError as error:
        compiler = shutil.which("c++") or shutil.which("clang++")
        missing = "" if compiler else "; a compiler is missing too: apt-get install g++ cmake"
        return _topic.warning(
            "device",
            f"{error.message}{missing}",
            means="noctis up runs with --no-device alone",
            cure=error.hint,
        )
