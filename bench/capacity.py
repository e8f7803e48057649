"""What a device takes on disk and of the broker: ``python -m bench.capacity --json``.

Rows go in as they come live: all devices' epochs of a moment, then those of the next. The
broker's figures are differences of its resident memory, of some hundred connections and of
messages that wait for an ingestor which is away.
"""

import argparse
import json
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bench.load import CONNECTIONS, connect_packet
from bench.stage import INGESTOR, PASSWORD, Stage, say, staged
from noctis import topics
from noctis.features import NAMES

__all__ = ["main"]

DEVICES: Final = 200
DAY: Final = 2880
MESSAGES: Final = 40_000
FRAME: Final = bytes(38 + 14)
WAIT_S: Final = 60.0


def main() -> int:
    """Measure, and tell; 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON value on stdout")
    given = parser.parse_args()
    with staged() as stage:
        stage.enrol(DEVICES)
        say(f"a day of {DEVICES} devices, {DEVICES * DAY} epochs")
        told = {"bytes": _rows(stage), "broker_bytes": _broker(stage)}
    if given.json:
        print(json.dumps(told))
    else:
        for kind, figures in told.items():
            print(kind, *(f"{name} {value}" for name, value in figures.items()), sep="\n  ")
    return 0


def _rows(stage: Stage) -> dict[str, float]:
    """Return the bytes of an epoch and of a prediction, table and key."""
    series = f"generate_series(1, {DAY}) s, generate_series(1, {DEVICES}) d"
    moment = "timestamptz '2026-01-01' + s * interval '30 s'"
    codes = ", ".join("(s * 7 + d) % 250" for _ in NAMES)
    stage.run(
        f"INSERT INTO epochs SELECT 1, d, {moment}, d, s, 0, true, {codes}, {moment} "  # noqa: S608 - our own
        f"FROM {series}"
    )
    stage.run("INSERT INTO models (name, version) VALUES ('stager', '1')")
    stage.run(
        "INSERT INTO predictions (tenant_id, device_id, stream, seq, model_id, epoch_start, "  # noqa: S608
        "stage, p_wake, p_light, p_deep, p_rem, created_at) "
        f"SELECT 1, d, d, s, 1, {moment}, 1, .1, .2, .3, .4, {moment} FROM {series}"
    )
    told = {}
    for table in ("epochs", "predictions"):
        stage.run(f"VACUUM ANALYZE {table}")
        for part, size in (("table", "pg_relation_size"), ("keys", "pg_indexes_size")):
            total = stage.count(f"SELECT {size}('{table}')")
            told[f"{table}_{part}"] = round(total / (DEVICES * DAY), 1)
    return told


def _broker(stage: Stage) -> dict[str, float]:
    """Return what a connection and a waiting message add to the broker's memory."""
    before = _resident(stage)
    with ExitStack() as ends:
        for number in range(CONNECTIONS):
            address = ("127.0.0.1", stage.broker.port)
            link = ends.enter_context(socket.create_connection(address, 10))
            link.sendall(connect_packet(f"svc-load-{number}", PASSWORD))
            link.recv(4)
        connected = _resident(stage)
    _client(stage, INGESTOR, lambda it: it.subscribe(topics.ups(0, "epochs"), 1)[0] == 0)
    empty = _resident(stage)
    say(f"{MESSAGES} messages for an ingestor that is away")
    _client(stage, "svc-load-0", _publish)
    return {
        "connection": round((connected - before) / CONNECTIONS),
        "waiting_message": round((_resident(stage) - empty) / MESSAGES),
    }


def _client(stage: Stage, user: str, work: Callable[[paho.Client], bool]) -> None:
    """Do some work as a client whose session stays, and leave."""
    made = paho.Client(CallbackAPIVersion.VERSION2, client_id=user, protocol=paho.MQTTv5)
    made.username_pw_set(user, PASSWORD)
    made.max_queued_messages_set(0)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    made.connect("127.0.0.1", stage.broker.port, clean_start=False, properties=properties)
    made.loop_start()
    _until(made.is_connected)
    if not work(made):
        message = "the broker did not take it"
        raise RuntimeError(message)
    time.sleep(0.5)  # the broker's answer to the last of it
    made.disconnect()
    made.loop_stop()


def _publish(client: paho.Client) -> bool:
    topic = f"{topics.ROOT}/up/0/t1/d1/epochs"
    last = [client.publish(topic, FRAME, qos=1) for _ in range(MESSAGES)][-1]
    last.wait_for_publish(WAIT_S)
    return bool(last.is_published())


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def _resident(stage: Stage) -> int:
    lines = Path(f"/proc/{stage.broker.pid}/status").read_text().splitlines()
    return next(int(it.split()[1]) * 1024 for it in lines if it.startswith("VmRSS"))


if __name__ == "__main__":
    sys.exit(main())
