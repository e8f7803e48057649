"""The platform that is looked at: where its parts are, and what is asked of them once.

What several topics need is asked for by the first of them, and remembered.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.local import run_file
from noctis import settings
from noctis.errors import ConfigurationError, NoctisError
from noctis.settings import Settings
from noctis.storage import health
from noctis.storage.engine import create, transaction

__all__ = ["DoctorSettings", "Once", "Server", "Site", "Told"]

T = TypeVar("T")

ASK_S: Final = 3.0
DATABASE_S: Final = 5.0
SOON_S: Final = 30 * 86400.0
"""Certificates of devices that end so soon are told."""


class DoctorSettings(BaseSettings):
    """What the doctor cannot see for itself where no ``run.json`` says it."""

    model_config = SettingsConfigDict(
        env_prefix="NOCTIS_DOCTOR_", env_file=".env", extra="ignore"
    )

    services: str = Field("", description="where services answer: ingestor=host:9100,...")
    certificates: Path | None = Field(None, description="folder with the broker's certificate")


class Once(Generic[T]):
    """Makes a value when it is first asked for, for any number of threads."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: list[T] = []

    def __call__(self) -> T:
        """Return the value; who comes second waits for the first."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


@dataclass(frozen=True, slots=True)
class Told:
    """What a service answered; ``error`` says why it did not answer at all.

    ``why``: what it says of not being ready, or of being degraded. ``at``: its own clock.
    """

    name: str
    address: str
    error: str = ""
    is_ready: bool = False
    why: str = ""
    checks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[tuple[str, ...], float]] = field(default_factory=dict)
    at: float = 0.0

    def metric(self, name: str, default: float = 0.0) -> float:
        """Return a metric, the sum over its labels."""
        known = self.metrics.get(name)
        return sum(known.values()) if known else default

    def labelled(self, name: str) -> Mapping[tuple[str, ...], float]:
        """Return a metric by the values of its labels."""
        return self.metrics.get(name, {})

    def age(self, name: str) -> float | None:
        """Return the seconds since the moment that a metric tells; None for never."""
        moment = self.metric(name)
        return self.at - moment if moment else None


@dataclass(frozen=True, slots=True)
class Server:
    """The database: how it is, or why it cannot be asked (``error``), and the delay."""

    state: health.Server | None = None
    sleepers: list[health.Sleeper] = field(default_factory=list)
    letters: list[health.DeadLetters] = field(default_factory=list)
    ending: list[health.Ending] = field(default_factory=list)
    error: NoctisError | None = None
    seconds: float = 0.0
    asked_at: float = 0.0


class Site:
    """A platform below ``var``, or the one that the settings name."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.own = DoctorSettings()
        self.told = Once(self._ask_all)
        self.server = Once(self._ask_database)

    @cached_property
    def run(self) -> Mapping[str, Any]:
        """What a platform that runs here, or was killed, has written of itself."""
        with suppress(OSError, ValueError):
            content: dict[str, Any] = json.loads(run_file(self.var).read_text("utf-8"))
            return content
        return {}

    @property
    def is_embedded(self) -> bool:
        """Whether ``noctis up`` has ever run on this folder."""
        return bool(self.run) or (self.var / "ports.json").exists()

    @property
    def is_at_rest(self) -> bool:
        """Whether it is the folder of a platform that does not run."""
        return self.is_embedded and not self.run

    @cached_property
    def settings(self) -> Settings | None:
        """The settings; None where they make no sense, which is a finding of its own."""
        try:
            return settings.load(var=self.var)
        except ConfigurationError:
            return None

    @cached_property
    def database_url(self) -> str:
        """The address of the database; empty where nothing tells it."""
        if self.run:
            return str(self.run["database_url"])
        known = self.settings
        return known.database_url.get_secret_value() if known else ""

    @cached_property
    def services(self) -> Mapping[str, str]:
        """Where each service answers, as ``host:port``, by its name."""
        if self.run:
            metrics: Mapping[str, str] = self.run["metrics"]
            return {
                name: url.removeprefix("http://").removesuffix("/metrics")
                for name, url in metrics.items()
            }
        pairs = (it.strip().partition("=") for it in self.own.services.split(","))
        return {name: address for name, _, address in pairs if address}

    def _ask_all(self) -> Mapping[str, Told]:
        services = self.services
        with ThreadPoolExecutor(max(1, len(services))) as threads:
            found = threads.map(_ask, services, services.values())
            return {it.name: it for it in found}

    def _ask_database(self) -> Server:
        began = time.monotonic()
        try:
            engine = create(self.database_url, application="noctis-doctor", connections=1)
            try:
                with transaction(engine, DATABASE_S) as connection:
                    at = time.time()
                    state = health.server(connection)
                    took = time.monotonic() - began
                    if state.revision is None:
                        return Server(state, seconds=took, asked_at=at)
                    sleepers, letters = health.worst(connection), health.letters(connection)
                    ending = health.ending(connection, SOON_S)
            finally:
                engine.dispose()
        except NoctisError as error:
            return Server(error=error, seconds=time.monotonic() - began)
        return Server(state, sleepers, letters, ending, seconds=took, asked_at=at)


def _ask(name: str, address: str) -> Told:
    try:
        status, ready = _get(f"http://{address}/readyz")
        _, metrics = _get(f"http://{address}/metrics")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Told(name, address, error=str(reason))
    is_ready, why, checks = status == 200, "", {}  # noqa: PLR2004 - HTTP's own
    try:
        body = json.loads(ready)
        checks = body.get("checks", {})
        why = body.get("detail", "")
    except ValueError:
        why = ready.strip().partition(": ")[2]
    return Told(
        name,
        address,
        is_ready=is_ready,
        why=why,
        checks=checks,
        metrics=_metrics(metrics.splitlines()),
        at=time.time(),
    )


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as reply:  # noqa: S310 - our own
            return int(reply.status), reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def _metrics(lines: Iterable[str]) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if not sample.name.endswith("_bucket"):
                found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found
