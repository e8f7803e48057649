"""What can be asked of a facade: requests, and what their answers mean; no socket."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote
from uuid import UUID

from numpy.typing import NDArray

from noctis.client import alerts as alerts_of
from noctis.client import devices as devices_of
from noctis.client import nights as nights_of
from noctis.client import trends as trends_of
from noctis.client.epochs import epochs_in
from noctis.client.errors import UnavailableError

__all__ = [
    "Ask",
    "Document",
    "Listing",
    "Plan",
    "acknowledge",
    "alerts",
    "devices",
    "epochs",
    "night",
    "nights",
    "trends",
]

T = TypeVar("T")
Document = dict[str, Any]
"""A JSON object."""

PAGE: Final = 200
EPOCHS_A_PAGE: Final = 1000
LOOKS: Final = 4


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that may be sent again without harm."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    method: Literal["GET", "POST"] = "GET"


Plan = Generator[Ask, Document, T]
"""What to ask one after another; it is sent each answer, and returns what they mean."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A list that comes in pages."""

    path: str
    params: Mapping[str, str]
    entries: Callable[[Document], list[T]]

    def page(self, token: str) -> Ask:
        """Return what asks for the page that ``token`` names, the first without one."""
        more = {"page_token": token} if token else {}
        return Ask(self.path, {**self.params, **more})


def devices() -> Listing[devices_of.Device]:
    """Ask for all devices of the tenant, by name."""
    return Listing("/v1/devices", _given(page_size=PAGE), devices_of.devices_in)


def nights(
    device: str | None, since: date | None, until: date | None
) -> Listing[nights_of.Night]:
    """Ask for nights with since <= evening < until, the newest first."""
    params = _given(device=device, since=since, until=until, page_size=PAGE)
    return Listing("/v1/recordings", params, nights_of.nights_in)


def night(key: UUID | str) -> Plan[nights_of.StagedNight]:
    """Ask for a night with its stages, both as of one moment."""
    path = f"/v1/recordings/{quote(str(key), safe='')}"
    for _ in range(LOOKS):
        told = yield Ask(path)
        staged = yield Ask(f"{path}/hypnogram")
        if told["revision"] == staged["revision"]:
            return nights_of.staged_night(told, staged)
    message = f"night {key} changes faster than it can be read"
    raise UnavailableError(message, hint="try again later")


def epochs(
    device: str, since: datetime | None, until: datetime | None
) -> Listing[NDArray[Any]]:
    """Ask for what was measured in epochs with since <= start < until, an array a page."""
    params = _given(since=since, until=until, page_size=EPOCHS_A_PAGE)
    return Listing(f"{_device(device)}/epochs", params, lambda page: [epochs_in(page)])


def trends(device: str, weeks: int, until: date | None) -> Plan[trends_of.Trends]:
    """Ask for so many weeks of a device's nights."""
    told = yield Ask(f"{_device(device)}/trends", _given(weeks=weeks, until=until))
    return trends_of.trends_in(told)


def alerts(
    device: str | None, state: Literal["open", "cleared"] | None
) -> Listing[alerts_of.Alert]:
    """Ask for alerts, the newest first."""
    params = _given(device=device, state=state, page_size=PAGE)
    return Listing("/v1/alerts", params, alerts_of.alerts_in)


def acknowledge(key: int) -> Plan[alerts_of.Alert]:
    """Say that an alert was seen; who says it first counts."""
    told = yield Ask(f"/v1/alerts/{key}:acknowledge", method="POST")
    return alerts_of.alert_of(told)


def _device(name: str) -> str:
    return f"/v1/devices/{quote(name, safe='')}"


def _given(**params: object) -> dict[str, str]:
    return {name: _plain(it) for name, it in params.items() if it is not None}


def _plain(value: object) -> str:
    if not isinstance(value, datetime):
        return str(value)
    if value.tzinfo is None:
        message = f"{value} has no time zone"
        raise ValueError(message)
    return value.astimezone(UTC).isoformat()
