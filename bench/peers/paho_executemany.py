"""The peer that people write first: paho, a queue, executemany; acknowledged after the commit.

paho_executemany.py BROKER_PORT USER PASSWORD DATABASE_URL TOPIC
"""

import queue
import struct
import sys
from datetime import UTC, datetime
from typing import Any, Final

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

BATCH: Final = 2000
HEAD: Final = struct.Struct("<BBBBQII")
INSERT: Final = """
INSERT INTO peer_frames (topic, payload, received_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""


def main() -> None:
    """Store what arrives, until the process is ended."""
    port, user, password, database, topic = sys.argv[1:]
    arrived: queue.SimpleQueue[mqtt.MQTTMessage] = queue.SimpleQueue()
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, client_id=user, protocol=mqtt.MQTTv5, manual_ack=True
    )
    client.username_pw_set(user, password)
    client.on_message = lambda _client, _data, message: arrived.put(message)

    def subscribe(*_: object) -> None:
        client.subscribe(topic, qos=1)

    client.on_connect = subscribe
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 5000
    properties.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", int(port), clean_start=False, properties=properties)
    client.loop_start()
    with psycopg.connect(database) as connection:
        while True:
            _store(connection, client, arrived)


def _store(
    connection: psycopg.Connection[Any],
    client: mqtt.Client,
    arrived: "queue.SimpleQueue[mqtt.MQTTMessage]",
) -> None:
    batch = [arrived.get()]
    while len(batch) < BATCH and not arrived.empty():
        batch.append(arrived.get())
    now = datetime.now(UTC)
    for message in batch:
        HEAD.unpack_from(message.payload)  # the least that a decoder does
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(INSERT, [(it.topic, it.payload, now) for it in batch])
    for message in batch:
        client.ack(message.mid, message.qos)


if __name__ == "__main__":
    main()
