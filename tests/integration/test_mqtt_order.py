"""Stages of a device reach its topic in their order, however a publish is held up."""

import asyncio
from collections.abc import Iterator

import pytest

from broker.server import MosquittoServer
from noctis import faults
from noctis.mqtt import Session
from tests.integration.broker_fixtures import Client, broker, link, on_loop
from tests.integration.test_mqtt_session import Running

__all__ = ["broker"]

pytestmark = pytest.mark.broker


@pytest.fixture
def first_is_late() -> Iterator[None]:
    faults.use("mqtt.publish=latency:1@#1", {"NOCTIS_FAULTS": "allowed"})
    yield
    faults.clear()


@pytest.mark.usefixtures("first_is_late")
def test_a_publish_waits_for_the_one_before_it_on_its_topic_and_for_no_other(
    broker: MosquittoServer,
) -> None:
    async def main() -> None:
        with Client(broker.port, "phone@t1") as app:
            app.subscribe("noctis/v1/app/t1/+/stage")
            async with (
                Running(Session(link(broker, "svc-live-0"))) as session,
                asyncio.TaskGroup() as group,
            ):
                for device, payload in (("d1", b"1"), ("d1", b"2"), ("d2", b"3")):
                    topic = f"noctis/v1/app/t1/{device}/stage"
                    group.create_task(session.publish(topic, payload))
            assert [app.next().payload for _ in range(3)] == [b"3", b"1", b"2"]

    on_loop(main)
