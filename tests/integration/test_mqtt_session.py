import asyncio
import os
import signal
import socket
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from broker.config import Limits
from broker.server import MosquittoServer
from noctis import topics
from noctis.childproc import free_port
from noctis.identity import DeviceId
from noctis.mqtt import Address, BrokerError, Link, Message, Session, Will, drop_session
from tests.integration.broker_fixtures import (
    QUIET_S,
    Client,
    accounts,
    broker,
    forgetful_broker,
    link,
    on_loop,
    password_of,
    running_broker,
    until,
)

__all__ = ["broker", "forgetful_broker"]

pytestmark = pytest.mark.broker

UP = "noctis/v1/up/1/t1/d1/epochs"
UPS = "noctis/v1/up/+/+/+/epochs"


class Running:
    """A session that runs in the background of a test."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._group = asyncio.TaskGroup()

    async def __aenter__(self) -> Session:
        await self._group.__aenter__()
        self._task = self._group.create_task(self.session.run())
        await self.session.wait_ready()
        return self.session

    async def __aexit__(self, *error: object) -> None:
        await self.session.stop(within_s=2)
        self._task.cancel()
        await self._group.__aexit__(None, None, None)


class Inbox:
    """A handler that holds every message until it is told to let go."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.release = asyncio.Event()

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)
        await self.release.wait()


@pytest.mark.timeout(60)
def test_publishing_on_a_socket_that_is_gone_leaves_the_loop_to_those_who_will_notice(
    broker: MosquittoServer,
) -> None:
    async def main() -> None:
        async with Running(Session(link(broker, "svc-live-0"))) as session:
            connection = session._connection
            assert connection is not None
            connection._client._connection._transport.close()  # nobody knows of it yet
            await session.publish("noctis/v1/app/t1/d1/stage", b"{}", within_s=20)
            assert session.generation == 2

    on_loop(main)


@pytest.mark.parametrize("version", [4, 5])
def test_a_message_is_redelivered_until_its_handler_has_returned(
    broker: MosquittoServer, version: int
) -> None:
    async def main() -> None:
        inbox = Inbox()
        options = {"version": version, "session_expiry_s": 60}
        mine = link(broker, "svc-ingestor-0", **options)
        async with Running(Session(mine, subscriptions=[UPS], handler=inbox)) as session:
            with Client(broker.port, "t1/d1") as device:
                device.publish(UP, b"one")
            await until(lambda: len(inbox.messages) == 1)
            assert session.in_hand == 1
        again = Inbox()
        again.release.set()
        async with Running(Session(mine, subscriptions=[UPS], handler=again)):
            await until(lambda: len(again.messages) == 1)
        assert again.messages[0].payload == b"one"
        third = Inbox()
        async with Running(Session(mine, subscriptions=[UPS], handler=third)):
            await asyncio.sleep(0.3)
        assert third.messages == []

    on_loop(main)


def test_no_more_than_the_receive_maximum_is_in_hand(broker: MosquittoServer) -> None:
    async def main() -> None:
        inbox = Inbox()
        mine = link(broker, "svc-ingestor-0", receive_maximum=10)
        async with Running(Session(mine, subscriptions=[UPS], handler=inbox)) as session:
            with Client(broker.port, "t1/d1") as device:
                for number in range(50):
                    device.publish(UP, str(number).encode())
            await asyncio.sleep(0.3)
            assert len(inbox.messages) == session.in_hand == 10
            inbox.release.set()
            await until(lambda: len(inbox.messages) == 50)
            assert [int(it.payload) for it in inbox.messages] == list(range(50))

    on_loop(main)


def test_a_session_returns_after_the_broker_was_killed_and_lost_its_memory(
    forgetful_broker: MosquittoServer,
) -> None:
    async def main() -> None:
        inbox = Inbox()
        inbox.release.set()
        mine = link(forgetful_broker, "svc-ingestor-0", session_expiry_s=60)
        async with Running(Session(mine, subscriptions=[UPS], handler=inbox)) as session:
            forgetful_broker.kill()
            await until(lambda: not session.ready)
            await asyncio.to_thread(forgetful_broker.restart)
            await session.wait_ready()
            with Client(forgetful_broker.port, "t1/d1") as device:
                device.publish(UP, b"after")
            await until(lambda: len(inbox.messages) == 1)
            assert session.generation == inbox.messages[0].generation >= 2

    on_loop(main)


def test_an_acknowledgement_that_comes_after_a_reconnect_acknowledges_nothing(
    broker: MosquittoServer,
) -> None:
    """The new connection has its own packet ids: a late PUBACK would hit another message."""

    async def main() -> None:
        first, second = asyncio.Event(), asyncio.Event()
        seen: list[Message] = []

        async def handler(message: Message) -> None:
            seen.append(message)
            await (first if message.generation == 1 else second).wait()

        mine = link(broker, "svc-ingestor-0", session_expiry_s=60)
        async with Running(Session(mine, subscriptions=[UPS], handler=handler)) as session:
            with Client(broker.port, "t1/d1") as device:
                device.publish(UP, b"one")
                device.publish(UP, b"two")
            await until(lambda: len(seen) == 2)
            await asyncio.to_thread(broker.restart)
            await until(lambda: len(seen) == 4)
            first.set()  # the acknowledgements of the first connection, too late
            await asyncio.sleep(0.2)
            assert session.in_hand == 2
            await asyncio.to_thread(broker.restart)
            await until(lambda: len(seen) == 6)
            second.set()
            assert sorted(it.payload for it in seen[4:]) == [b"one", b"two"]

    on_loop(main)


def test_a_publish_waits_for_the_broker_to_come_back(broker: MosquittoServer) -> None:
    async def main() -> None:
        async with Running(Session(link(broker, "svc-live-0"))) as session:
            broker.kill()
            await until(lambda: not session.ready)
            async with asyncio.TaskGroup() as group:
                topic = "noctis/v1/app/t1/d1/stage"
                group.create_task(session.publish(topic, b"{}", retain=True, within_s=20))
                await asyncio.sleep(0.1)
                assert not session.send(topic, b"lost")
                await asyncio.to_thread(broker.restart)
            with Client(broker.port, "phone@t1") as app:
                app.subscribe("noctis/v1/app/t1/+/stage")
                assert app.next().payload == b"{}"

    on_loop(main)


def test_a_publish_gives_up_at_its_deadline(broker: MosquittoServer) -> None:
    async def main() -> None:
        async with Running(Session(link(broker, "svc-live-0"))) as session:
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                with pytest.raises(BrokerError, match="did not confirm"):
                    await session.publish("noctis/v1/app/t1/d1/stage", b"{}", within_s=0.5)
            finally:
                os.kill(broker.pid, signal.SIGCONT)

    on_loop(main)


def test_a_hundred_publishes_at_once_all_arrive_at_a_broker_that_takes_twenty(
    tmp_path: Path,
) -> None:
    async def main(port: int, mine: Link) -> None:
        async with Running(Session(mine)) as session:
            with Client(port, "phone@t1") as app:
                app.subscribe("noctis/v1/app/t1/+/stage")
                async with asyncio.TaskGroup() as group:
                    for number in range(100):
                        topic = f"noctis/v1/app/t1/d{number}/stage"
                        group.create_task(session.publish(topic, b"{}"))
                assert len(app.topics()) == 100

    with running_broker(tmp_path / "broker", limits=Limits(inflight_messages=20)) as broker:
        on_loop(lambda: main(broker.port, link(broker, "svc-live-0")))


def test_a_frozen_broker_is_noticed_and_replaced(broker: MosquittoServer) -> None:
    async def main() -> None:
        mine = link(broker, "svc-live-0", keepalive_s=1)
        async with Running(Session(mine)) as session:
            os.kill(broker.pid, signal.SIGSTOP)
            for _ in range(1000):
                session.send("noctis/v1/app/t1/d1/stage", bytes(8000))
            await until(lambda: not session.ready)
            os.kill(broker.pid, signal.SIGCONT)
            await session.wait_ready()

    on_loop(main)


def test_a_wrong_password_is_tried_again_until_it_is_right(broker: MosquittoServer) -> None:
    async def main() -> None:
        session = Session(link(broker, "svc-live-7"))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(session.run())
            await asyncio.sleep(0.5)
            assert not session.ready
            await asyncio.to_thread(broker.reload, accounts("svc-live-7"))
            await session.wait_ready()
            await session.stop()
            await running

    on_loop(main)


def test_a_silent_server_is_no_broker_and_stop_ends_the_attempt() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:

            class Here:
                port = silent.getsockname()[1]

            session = Session(link(Here, "svc-live-0"))  # type: ignore[arg-type]
            async with asyncio.TaskGroup() as group:
                group.create_task(session.run())
                await asyncio.sleep(0.2)
                await session.stop()
            assert not session.ready

    on_loop(main, within_s=5)


def test_a_handler_that_fails_does_not_stall_the_window(broker: MosquittoServer) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def handler(message: Message) -> None:
            seen.append(message.payload)
            if message.payload == b"poison":
                raise ValueError(message.payload)

        mine = link(broker, "svc-ingestor-0", receive_maximum=1)
        async with Running(Session(mine, subscriptions=[UPS], handler=handler)):
            with Client(broker.port, "t1/d1") as device:
                device.publish(UP, b"poison")
                device.publish(UP, b"good")
            await until(lambda: seen == [b"poison", b"good"])

    on_loop(main)


def test_the_will_is_published_after_a_crash_and_not_after_a_farewell(
    broker: MosquittoServer,
) -> None:
    async def main() -> None:
        will = Will("noctis/v1/app/t1/status", b"lost")
        with Client(broker.port, "phone@t1") as app:
            app.subscribe("noctis/v1/app/t1/status")
            async with Running(Session(link(broker, "svc-companion-0", will=will))):
                pass
            assert app.topics() == []
            async with Running(Session(link(broker, "svc-companion-0", will=will))) as session:
                assert session._connection is not None
                session._connection.abort()
                assert await asyncio.to_thread(app.next) is not None

    on_loop(main)


def device_of(shard: int) -> DeviceId:
    names = (DeviceId("t1", f"bed-{number}") for number in range(1000))
    return next(device for device in names if topics.shard_of(device) == shard)


@pytest.mark.parametrize("version", [4, 5])
def test_a_session_that_comes_back_with_fewer_topics_is_sent_no_more_of_the_others(
    broker: MosquittoServer, version: Literal[4, 5]
) -> None:
    """A shard that moves away: the broker keeps a session's subscriptions."""
    mine, other = device_of(5), device_of(6)
    kept, given_up = topics.ups(5, "epochs"), topics.ups(6, "epochs")
    broker.reload(accounts(str(mine), str(other)))
    account = link(broker, "svc-ingestor-0", session_expiry_s=60, version=version)
    got: list[str] = []

    async def take(message: Message) -> None:
        got.append(message.topic)

    async def tell(*devices: DeviceId) -> None:
        def publish(device: DeviceId) -> None:
            with Client(broker.port, str(device)) as client:
                client.publish(topics.up(device, "epochs"), b"x")

        for device in devices:
            await asyncio.to_thread(publish, device)

    async def main() -> None:
        async with Running(Session(account, subscriptions=[kept, given_up], handler=take)):
            await tell(mine, other)
            await until(lambda: len(got) == 2)
        await tell(other)  # queued for the session: a move does not lose it
        after = Session(account, subscriptions=[kept], given_up=[given_up], handler=take)
        async with Running(after):
            await tell(other, mine)
            await until(lambda: len(got) == 4)
            await asyncio.sleep(QUIET_S)
        assert Counter(got) == {topics.up(it, "epochs"): 2 for it in (mine, other)}

    on_loop(main)


def test_a_dropped_session_is_sent_nothing_of_its_past(broker: MosquittoServer) -> None:
    account = link(broker, "svc-ingestor-0", session_expiry_s=60)
    got: list[str] = []

    async def take(message: Message) -> None:
        got.append(message.topic)

    async def main() -> None:
        async with Running(Session(account, subscriptions=[UPS])):
            pass
        with Client(broker.port, "t1/d1") as device:
            device.publish(UP, b"queued")
        await drop_session(account)
        async with Running(Session(account, handler=take)):
            await asyncio.sleep(QUIET_S)
        assert got == []

    on_loop(main)


def test_where_a_node_is_gone_the_session_goes_to_the_next(broker: MosquittoServer) -> None:
    gone = Link(
        "127.0.0.1",
        free_port(),
        "svc-ingestor-0",
        password_of("svc-ingestor-0"),
        others=(Address("127.0.0.1", broker.port),),
    )

    async def main() -> None:
        async with Running(Session(gone)) as session:
            assert session.generation == 2
        await drop_session(gone)

    on_loop(main)
