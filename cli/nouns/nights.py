"""Nights: as they were last found, and the stages of any stretch of time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol
from uuid import UUID

from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own
from noctis.epoch import EPOCH_SECONDS
from noctis.hypnogram import LABELS
from noctis.identity import DeviceId
from noctis.storage import epochs, predictions, recordings, trends
from noctis.storage.recording_facts import figures_of
from noctis.storage.recordings import Recording

__all__ = ["AskedNights", "Nights", "Query", "StoredNights", "hypnogram", "told"]

MOST: Final = 1000
_PERCENTS: Final = ("efficiency_percent", "light_percent", "deep_percent", "rem_percent")


@dataclass(frozen=True, slots=True)
class Query:
    """Nights with since <= evening < until, the newest ``limit``; ``kind``: those alone."""

    since: date | None = None
    until: date | None = None
    limit: int = 30
    kind: str | None = None


class Nights(Protocol):
    """What can be asked of nights."""

    def list_of(self, tenant: str, device: str | None, query: Query) -> list[Document]:
        """Return nights of a device, or of all of a tenant, without hypnograms."""

    def get(self, tenant: str, key: UUID) -> Document:
        """Return a night with its hypnogram, a label for each 30 s."""

    def stages(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return the stages of epochs with since <= t < until, by t."""

    def measured(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return what was measured in up to 1,000 epochs with since <= t < until.

        Heart rate and breathing per minute, movement as a share of the time; null: not known.
        """

    def trends(self, who: DeviceId, weeks: int, until: date | None) -> Document:
        """Return so many weeks of a device's nights up to an evening, as the facade does."""


class StoredNights:
    """Nights in this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def list_of(self, tenant: str, device: str | None, query: Query) -> list[Document]:
        """Return nights, the newest first."""
        with self._opened() as connection:
            found = recordings.list_of(
                tenant,
                connection,
                device,
                since=query.since,
                until=query.until,
                kind=query.kind,
                limit=query.limit,
                hypnograms=False,
            )
        return [told(tenant, it) for it in found]

    def get(self, tenant: str, key: UUID) -> Document:
        """Return a night."""
        with self._opened() as connection:
            found = recordings.get(tenant, connection, key)
        return told(tenant, found) | hypnogram(found.night.codes.tolist())

    def stages(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return the stages of a stretch of time."""
        with self._opened() as connection:
            found = predictions.read(who.tenant, connection, who.device, since, until)
        return [
            {
                "t": it.epoch_start.isoformat(),
                "stage": None if it.stage is None else it.stage.label,
                "model": it.model,
            }
            for it in found
        ]

    def measured(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return what was measured in a stretch of time."""
        with self._opened() as connection:
            found = epochs.read(who.tenant, connection, who.device, since, until, limit=MOST)
        return [_measured(it.epoch_start.isoformat(), it.in_bed, it.values) for it in found]

    def trends(self, who: DeviceId, weeks: int, until: date | None) -> Document:
        """Return weeks of a device's nights."""
        now = datetime.now(UTC)
        with self._opened() as connection:
            found = trends.of(
                who.tenant, connection, who.device, weeks=weeks, until=until, now=now
            )
        return _trends(who, asdict(found))


class AskedNights:
    """Nights of the tenant that a facade lets its caller see."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, tenant: str, device: str | None, query: Query) -> list[Document]:
        """Return nights, the newest first."""
        check_own(self._facade, tenant)
        params = {
            "device": device,
            "since": query.since,
            "until": query.until,
            "kind": query.kind,
            "excluded": True,
            "page_size": min(query.limit, 200),
        }
        found: list[Document] = []
        for each in self._facade.pages("/v1/recordings", "recordings", params):
            if len(found) == query.limit:
                break
            found.append(_shown(tenant, each))
        return found

    def get(self, tenant: str, key: UUID) -> Document:
        """Return a night."""
        check_own(self._facade, tenant)
        path = f"/v1/recordings/{key}"
        night = self._facade.ask("GET", path)
        codes = self._facade.ask("GET", f"{path}/hypnogram")["codes"]
        return _shown(tenant, night) | hypnogram(codes)

    def stages(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return the stages of a stretch of time."""
        check_own(self._facade, who.tenant)
        path = f"/v1/devices/{who.device}/predictions"
        params = {"since": _utc(since), "until": _utc(until)}
        return [
            {"t": plain(it["start"]), "stage": it["stage"], "model": it["model"]}
            for it in self._facade.pages(path, "predictions", params)
        ]

    def measured(self, who: DeviceId, since: datetime, until: datetime) -> list[Document]:
        """Return what was measured in a stretch of time."""
        check_own(self._facade, who.tenant)
        path = f"/v1/devices/{who.device}/epochs"
        params = {"since": _utc(since), "until": _utc(until), "page_size": MOST}
        found = self._facade.ask("GET", path, params=params)["epochs"]
        return [_measured(plain(it["start"]), it["in_bed"], it["features"]) for it in found]

    def trends(self, who: DeviceId, weeks: int, until: date | None) -> Document:
        """Return weeks of a device's nights."""
        check_own(self._facade, who.tenant)
        path = f"/v1/devices/{who.device}/trends"
        found = self._facade.ask("GET", path, params={"weeks": weeks, "until": until})
        return _trends(who, found)


def _trends(who: DeviceId, found: Document) -> Document:
    """Return weeks with dates as text, from this database or a facade's document."""
    weeks = [{**it, "monday": str(it["monday"])} for it in found["weeks"]]
    ends = {name: str(found[name]) for name in ("since", "until")}
    return {**found, **ends, "device": str(who), "weeks": weeks}


def told(tenant: str, recording: Recording) -> Document:
    """Return a stored night as a document; figures that are undefined are null."""
    return _shown(
        tenant,
        asdict(recording.night)
        | {name: getattr(recording, name) for name in Recording.__dataclass_fields__}
        | {"figures": figures_of(recording)},
    )


_SHOWN: Final = (
    *("evening", "time_zone", "started_at", "ended_at", "state", "kind", "declared_by"),
    *("revision", "revised_at", "replaced_by", "model", "staged_by", "epochs", "missing"),
    *("unstaged", "moved", "note", "tags", "excluded"),
)


def _shown(tenant: str, night: Document) -> Document:
    """Return a night in the names that commands show, from a row or a facade's document."""
    figures: Document = dict(night["figures"])
    for name in _PERCENTS:
        figures[name] = None if figures[name] is None else round(figures[name], 2)
    if figures["awakenings"] is not None:
        figures["awakenings"] = int(figures["awakenings"])
    return {
        "id": str(night["id"]),
        "device": f"{tenant}/{night['device']}",
        **{name: plain(night[name]) for name in _SHOWN},
        "figures": figures,
    }


def _measured(at: str, in_bed: bool, values: Mapping[str, float | None]) -> Document:  # noqa: FBT001 - a measurement
    return {
        "t": at,
        "in_bed": in_bed,
        "heart_rate": values["hr_mean"],
        "breathing": values["rr_mean"],
        "movement": values["move_frac"],
    }


def hypnogram(codes: list[int]) -> dict[str, Any]:
    """Return the part of a night that says what each 30 s of it was."""
    return {"epoch_seconds": EPOCH_SECONDS, "hypnogram": [LABELS[code] for code in codes]}


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
