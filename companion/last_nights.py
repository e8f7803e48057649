"""Tells apps of each device's last night, and again whenever its revision rises.

A message is retained, so an app that comes later has it at once. It is sent when what it says
is committed, and noted as told when the broker has it: a companion that is killed in between
sends it again. A device's messages go out one after the other, each with what the database says
then, so that no older revision follows a newer one.

The broker may lose what it retains: on each new connection all last nights are told again, some
in each turn.
"""

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

import structlog
from prometheus_client import Counter
from pydantic_core import to_json

from companion.turns import endlessly
from noctis import topics
from noctis.mqtt import Session
from noctis.storage import night_news
from noctis.storage.database import Connection, Database
from noctis.storage.night_news import News
from noctis.storage.recording_facts import night_of
from noctis.storage.recordings import Recording
from noctis.topics import shard_of

__all__ = ["LastNights", "payload_of"]

LOOK_S: Final = 1.0
AT_ONCE: Final = 64
"""Devices of one turn; the others have the next one."""

_log = structlog.get_logger(__name__)
_told = Counter("noctis_nights_told_total", "Last nights given to the broker for apps.")


class LastNights:
    """Gives the broker the last nights of some shards' devices."""

    def __init__(self, database: Database, apps: Session, shards: frozenset[int]) -> None:
        self._database = database
        self._apps = apps
        self._shards = shards
        self._generation = 0
        self._behind: int | None = None

    async def run(self) -> None:
        """Tell what is new, for ever."""
        await endlessly("last_nights", self.turn, pause_s=LOOK_S)

    async def turn(self) -> bool:
        """Tell of some devices; return whether more wait that have something new."""
        if not self._apps.ready:
            return False
        if self._generation != self._apps.generation:
            self._generation, self._behind = self._apps.generation, 0
        if self._behind is not None:
            await self._tell_again(self._behind)
        return await self._tell_new() == AT_ONCE

    async def _tell_new(self) -> int:
        """Tell what is new of some devices; return of how many."""
        due, last = await self._database.call(self._due)
        for news in due:
            night = last.get(news.id)
            if night is None and news.recording is not None:
                await self._publish(news, b"")
            elif night is not None and (night.id, night.revision) != _known(news):
                await self._publish(news, payload_of(night))
                _log.info("night_told", device=str(news.device), revision=night.revision)
        if due:
            await self._database.call(lambda it: night_news.told(it, due, last))
        return len(due)

    async def _tell_again(self, behind: int) -> None:
        """Tell of the next devices what they knew on the last connection, as it is now."""
        known, last = await self._database.call(lambda it: self._read(it, behind))
        for news in known:
            if shard_of(news.device) in self._shards and news.id in last:
                await self._publish(news, payload_of(last[news.id]))
        self._behind = known[-1].id if len(known) == AT_ONCE else None

    def _due(self, connection: Connection) -> tuple[Sequence[News], Mapping[int, Recording]]:
        due = night_news.due(connection, self._shards)[:AT_ONCE]
        return due, night_news.last_nights(connection, due)

    def _read(
        self, connection: Connection, behind: int
    ) -> tuple[Sequence[News], Mapping[int, Recording]]:
        known = night_news.known(connection, after=behind, limit=AT_ONCE)
        return known, night_news.last_nights(connection, known)

    async def _publish(self, news: News, payload: bytes) -> None:
        await self._apps.publish(topics.night(news.device), payload, retain=True)
        _told.inc()


def payload_of(night: Recording) -> bytes:
    """Return what apps are told of a night, as the facade names it."""
    return to_json({"night": night.night.evening, **night_of(night)})


def _known(news: News) -> tuple[UUID | None, int | None]:
    return news.recording, news.revision
