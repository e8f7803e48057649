"""What the services tell of themselves: their ``/metrics``, wherever they answer."""

import json
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import anyio.to_thread
from prometheus_client.parser import text_string_to_metric_families

from api.internal.parts import Part, gathered
from noctis.errors import ConfigurationError, NoctisError
from noctis.settings import Settings

__all__ = ["Labels", "Scrape", "addresses", "scrape"]

DEADLINE_S: Final = 3.0
MOST_BYTES: Final = 8 * 1024 * 1024
Labels = tuple[tuple[str, str], ...]
"""The labels of a sample, sorted by name."""

_threads: Final = anyio.CapacityLimiter(16)


class UnreachedError(NoctisError):
    """A service that does not tell its metrics."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one service told: the value of each sample by its name and labels."""

    samples: Mapping[str, Mapping[Labels, float]]

    def total(self, name: str) -> float | None:
        """Return the sum of a metric over its labels; None where the service has none such."""
        known = self.samples.get(name)
        return None if known is None else sum(known.values())

    def labelled(self, name: str, label: str) -> dict[str, float]:
        """Return a metric's values by one of its labels."""
        found = self.samples.get(name, {})
        return {dict(labels).get(label, ""): value for labels, value in found.items()}


def addresses(settings: Settings) -> dict[str, str]:
    """Return where each service tells its metrics, as ``host:port`` by its name.

    They are those of ``NOCTIS_SERVICES``; else of the platform that runs below ``NOCTIS_VAR``.
    Raises ConfigurationError where neither names any.
    """
    if settings.services:
        return _parsed(settings.services)
    try:
        running = json.loads((settings.var / "run.json").read_text("utf-8"))
        urls: Mapping[str, str] = running["metrics"]
    except (OSError, ValueError, KeyError) as error:
        message = "nobody says where the services tell their metrics"
        hint = "set NOCTIS_SERVICES=ingestor=ingestor:9100,api=api:8000"
        raise ConfigurationError(message, hint=hint) from error
    return {
        name: url.removeprefix("http://").removesuffix("/metrics") for name, url in urls.items()
    }


async def scrape(known: Mapping[str, str]) -> dict[str, Part[Scrape]]:
    """Ask all services side by side; whoever does not answer in time is told with a reason."""
    work = {name: partial(_ask, address) for name, address in known.items()}
    return await gathered(work, within_s=DEADLINE_S)


async def _ask(address: str) -> Scrape:
    return await anyio.to_thread.run_sync(
        _read, address, abandon_on_cancel=True, limiter=_threads
    )


def _read(address: str) -> Scrape:
    """Return what a service tells; raise UnreachedError."""
    url = f"http://{address}/metrics"
    try:
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
            text = answer.read(MOST_BYTES).decode()
    except OSError as error:
        message = "cannot be reached"
        raise UnreachedError(message) from error
    try:
        return Scrape(_samples(text))
    except ValueError as error:
        message = "answers with something that is no list of metrics"
        raise UnreachedError(message) from error


def _samples(text: str) -> dict[str, dict[Labels, float]]:
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


def _parsed(text: str) -> dict[str, str]:
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(name and address for name, _, address in pairs):
        message = f"NOCTIS_SERVICES={text!r} names no services"
        hint = "write ingestor=ingestor:9100,api=api:8000"
        raise ConfigurationError(message, hint=hint)
    return {name: address for name, _, address in pairs}
