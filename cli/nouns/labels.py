"""Reference stages of devices."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import groupby
from typing import Final, Protocol

from cli.facade import Facade
from cli.nouns.documents import Document, Open, plain
from cli.nouns.tenancy import check_own
from noctis.identity import DeviceId
from noctis.storage import labels
from noctis.storage.labels import Label

__all__ = ["AskedLabels", "Labels", "StoredLabels"]

AT_ONCE: Final = 10_000
Span = tuple[datetime | None, datetime | None]


class Labels(Protocol):
    """What can be asked of reference stages."""

    def put(self, who: DeviceId, found: Sequence[Label], *, source: str, by: str) -> int:
        """Store a source's labels; return how many of the same time gave way."""

    def list_of(self, tenant: str, device: str | None) -> list[Document]:
        """Return what was imported, by device."""

    def remove(self, who: DeviceId, source: str | None, span: Span) -> int:
        """Delete the labels with since <= start < until; return how many."""


class StoredLabels:
    """By this machine's database."""

    def __init__(self, opened: Open) -> None:
        self._opened = opened

    def put(self, who: DeviceId, found: Sequence[Label], *, source: str, by: str) -> int:
        """Store labels."""
        with self._opened() as connection:
            return labels.put(who.tenant, connection, who.device, found, source=source, by=by)

    def list_of(self, tenant: str, device: str | None) -> list[Document]:
        """Return the imports."""
        with self._opened() as connection:
            found = labels.list_of(tenant, connection, device)
        return [plain(asdict(it)) for it in found]

    def remove(self, who: DeviceId, source: str | None, span: Span) -> int:
        """Delete labels."""
        since, until = span
        with self._opened() as connection:
            return labels.remove(
                who.tenant, connection, who.device, source, since=since, until=until
            )


class AskedLabels:
    """By a facade, of the caller's tenant; who imported what, and when, it does not tell."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def put(self, who: DeviceId, found: Sequence[Label], *, source: str, by: str) -> int:  # noqa: ARG002 - the facade names its caller
        """Store labels, as many at once as the facade takes."""
        replaced = 0
        for part in _parts(found):
            sent = [{"start": _utc(it.start), "stage": it.stage.label} for it in part]
            body = {"source": source, "labels": sent}
            replaced += self._facade.ask("PUT", self._path(who), body=body)["replaced"]
        return replaced

    def list_of(self, tenant: str, device: str | None) -> list[Document]:
        """Return of each device and source what is there."""
        check_own(self._facade, tenant)
        every = self._facade.pages("/v1/devices", "devices") if device is None else ()
        names = [device] if device else sorted(it["name"] for it in every)
        return [row for name in names for row in self._of(DeviceId(tenant, name))]

    def remove(self, who: DeviceId, source: str | None, span: Span) -> int:
        """Delete labels; what is counted is there right before."""
        since, until = (None if end is None else _utc(end) for end in span)
        query = {"source": source, "since": since, "until": until}
        there = sum(1 for _ in self._facade.pages(self._path(who), "labels", query))
        self._facade.ask("DELETE", self._path(who), params=query)
        return there

    def _of(self, who: DeviceId) -> Iterator[Document]:
        found = plain(list(self._facade.pages(self._path(who), "labels")))
        found.sort(key=lambda it: (it["source"], it["start"]))
        for source, each in groupby(found, key=lambda it: it["source"]):
            starts = [it["start"] for it in each]
            nobody = {"imported_by": None, "imported_at": None}
            ends = {"labels": len(starts), "first": starts[0], "last": starts[-1]}
            yield {"device": who.device, "source": source, **nobody, **ends}

    def _path(self, who: DeviceId) -> str:
        check_own(self._facade, who.tenant)
        return f"/v1/devices/{who.device}/labels"


def _parts(found: Sequence[Label]) -> Iterator[Sequence[Label]]:
    for begin in range(0, len(found), AT_ONCE):
        yield found[begin : begin + AT_ONCE]


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
