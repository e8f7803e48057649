"""Virtual devices that send a load over the real broker, each on an account of its own."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import perf_counter
from typing import Final

from noctis import topics
from noctis.ack import decode_ack
from noctis.errors import NoctisError
from noctis.mqtt import BrokerError, Link, Message, Session
from runner.stress.plan import Plan
from runner.stress.tally import Tally

__all__ = ["Load", "StressError"]

CONNECT_S: Final = 30.0
AT_ONCE: Final = 25
"""Devices that connect at a time: hashing their passwords takes the broker a while."""

SETTLE_S: Final = 20.0
LOOK_S: Final = 0.1
FAREWELL_S: Final = 3.0
PUBLISH_S: Final = 15.0
WINDOW: Final = 64


class StressError(NoctisError):
    """A load that could not be brought to its end."""


class Load:
    """Sends a plan's epochs when they are due, whatever became of those before.

    ``links``: to the broker of the devices and to that of the apps. ``wanted`` is asked all the
    time: once it is false, nothing more is sent.
    """

    def __init__(
        self, plan: Plan, links: tuple[Link, Link], password: str, wanted: Callable[[], bool]
    ) -> None:
        self._plan = plan
        devices, apps = (replace(link, password=password) for link in links)
        self._wanted = wanted
        self.tally = Tally(plan)
        self.took_s = 0.0
        self._places = {str(plan.device(it)): it for it in range(plan.devices)}
        self._app = _session(apps, plan.app, topics.stages(plan.tenant), self._staged)
        self._devices = [
            _session(
                devices,
                str(plan.device(place)),
                topics.ack(plan.device(place)),
                partial(self._acknowledged, place),
            )
            for place in range(plan.devices)
        ]

    async def run(self) -> None:
        """Connect, send, wait for what is on its way, and leave; raise StressError."""
        async with asyncio.TaskGroup() as group:
            try:
                await self._connect(group)
                await self._send()
                await self._settle()
            finally:
                await self._leave()

    async def _connect(self, group: asyncio.TaskGroup) -> None:
        """Let the app in first: once the broker knows its account, it knows the devices'."""
        await self._up([self._app], group)
        for begin in range(0, len(self._devices), AT_ONCE):
            await self._up(self._devices[begin : begin + AT_ONCE], group)

    async def _up(self, sessions: Sequence[Session], group: asyncio.TaskGroup) -> None:
        for session in sessions:
            group.create_task(session.run())
        deadline = perf_counter() + CONNECT_S
        while not all(it.ready for it in sessions):
            if not self._wanted():
                return
            if perf_counter() > deadline:
                [troubled, *_] = [it for it in sessions if not it.ready]
                message = f"its devices do not get a session: {troubled.trouble}"
                raise StressError(message)
            await asyncio.sleep(LOOK_S)

    async def _send(self) -> None:
        """Send each epoch at its time: open loop, none waits for one before it."""
        started = perf_counter()
        async with asyncio.TaskGroup() as group:
            for epoch in range(self._plan.epochs):
                due = started + self._plan.due_s(epoch)
                await self._until(due)
                if not self._wanted():
                    return
                group.create_task(self._publish(epoch, due))
        self.took_s = max(perf_counter() - started, self._plan.seconds)

    async def _publish(self, epoch: int, due: float) -> None:
        place, seq, payload = self._plan.frame(epoch)
        key = (place, seq)
        self.tally.begin(key, due, perf_counter())
        topic = topics.up(self._plan.device(place), "epochs")
        try:
            await self._devices[place].publish(topic, payload, within_s=PUBLISH_S)
        except BrokerError:
            self.tally.fail(key, "the broker did not confirm it in time")
        else:
            self.tally.sent += 1

    async def _settle(self) -> None:
        """Wait until all is answered, some seconds at most."""
        for _ in range(round(SETTLE_S / LOOK_S)):
            if self.tally.is_settled or not self._wanted():
                return
            await self._until(perf_counter() + LOOK_S)

    async def _until(self, moment: float) -> None:
        """Wait for a moment, or until nothing is wanted any more."""
        while self._wanted():
            pause = moment - perf_counter()
            if pause <= 0:
                return
            await asyncio.sleep(min(pause, LOOK_S))

    async def _leave(self) -> None:
        async with asyncio.TaskGroup() as group:
            for session in (self._app, *self._devices):
                group.create_task(session.stop(within_s=FAREWELL_S))

    def _acknowledged(self, place: int, message: Message, now: float) -> None:
        for span in decode_ack(message.payload).ranges:
            self.tally.codes[span.code] += span.count
            for seq in range(span.first, span.first + span.count):
                self.tally.hear("acknowledged", (place, seq), now)

    def _staged(self, message: Message, now: float) -> None:
        if message.payload:  # an empty one clears what is retained
            place = self._places[str(topics.parse_stage(message.topic))]
            seq: int = json.loads(message.payload)["seq"]
            self.tally.hear("staged", (place, seq), now)


def _session(
    link: Link, username: str, topic: str, hear: Callable[[Message, float], None]
) -> Session:
    async def handle(message: Message) -> None:
        hear(message, perf_counter())

    mine = replace(link, username=username)
    return Session(mine, subscriptions=[topic], handler=handle, publish_window=WINDOW)
