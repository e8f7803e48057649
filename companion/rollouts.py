"""Rollouts on their way: waves of offers, what devices say of them, and when to stop."""

from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client import Counter

from companion.turns import endlessly
from noctis import topics
from noctis.firmware import offer
from noctis.identity import DeviceId
from noctis.mqtt import Session
from noctis.status import UpdateReport
from noctis.storage import audit, rollout_turns
from noctis.storage.database import Connection, Database
from noctis.storage.rollout_turns import Turn, Word
from noctis.topics import shard_of

__all__ = ["Rollouts"]

LOOK_S: Final = 1.0
AT_ONCE: Final = 64
"""Offers published in one turn; the others have the next one."""

_log = structlog.get_logger(__name__)
_reports = Counter("noctis_update_reports_total", "What devices said of updates.", ["state"])
_offers = Counter("noctis_update_offers_total", "Offers given to the broker, repeats included.")


class Rollouts:
    """Drives rollouts from their rows: whoever takes over after a crash goes on with them.

    Offers are retained at the broker until the device has said how it ended. A device that
    comes online is offered again what it was offered, as brokers may lose what they retain.
    """

    def __init__(self, database: Database, session: Session, shards: frozenset[int]) -> None:
        self._database = database
        self._session = session
        self._shards = shards
        self._here: set[DeviceId] = set()

    async def run(self) -> None:
        """Offer what is due, for ever."""
        await endlessly("rollouts", self._turn, pause_s=LOOK_S)

    def is_here(self, device: DeviceId) -> None:
        """Say that a device has come online."""
        self._here.add(device)

    async def reported(self, device: DeviceId, said: UpdateReport) -> None:
        """Note what a device says; what fits no rollout is passed over."""
        is_known = await self._database.call(
            lambda it: rollout_turns.report(device.tenant, it, device.device, said)
        )
        if is_known:
            _reports.labels(said.state).inc()
        if is_known and said.has_ended:
            facts = {"state": said.state, "reason": said.reason, "version": said.version}
            _log.info("update_ended", device=str(device), **facts)

    async def _turn(self) -> bool:
        if not self._session.ready:
            return False
        for turn in await self._database.call(_advanced):
            _log.info("rollout", number=turn.number, state=turn.state, devices=turn.devices)
        here, self._here = self._here, set()
        found = await self._database.call(lambda it: rollout_turns.owed(it, here))
        mine = [one for one in found if shard_of(one.device) in self._shards]
        await self._tell(mine[:AT_ONCE])
        self._here.update(one.device for one in mine[AT_ONCE:])
        return len(mine) > AT_ONCE

    async def _tell(self, words: Sequence[Word]) -> None:
        for word in words:
            await self._session.publish(topics.ota(word.device), _payload(word), retain=True)
            _offers.inc(word.rollout is not None)
        if words:
            await self._database.call(lambda it: rollout_turns.told(it, words))


def _advanced(connection: Connection) -> list[Turn]:
    """Advance rollouts, and write down which of them too many failures have stopped."""
    turns = rollout_turns.advance(connection)
    for turn in turns:
        if turn.state == "stopped":
            number = str(turn.number)
            audit.record_platform(connection, "rollout_stopped", by="companion", target=number)
    return turns


def _payload(word: Word) -> bytes:
    """Return an offer; nothing, which clears what is retained, where there is none any more."""
    if word.rollout is None:
        return b""
    manifest = word.manifest.encode("ascii")
    return offer(str(word.rollout), word.url, word.key_id, word.signature, manifest)
