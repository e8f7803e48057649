"""The peer mq-bridge, run by a Python of its own: MQTT into PostgreSQL, acknowledged after.

mq_bridge_route.py BROKER_PORT USER PASSWORD DATABASE_URL TOPIC [INSERT]
"""

import sys

from mq_bridge import Route

port, user, password, database, topic, *insert = sys.argv[1:]
table: dict[str, object] = {"url": database, "table": "peer_frames", "max_connections": 4}
if insert:
    table["insert_query"] = insert[0]
Route.from_config(
    {
        "input": {
            "mqtt": {
                "url": f"tcp://127.0.0.1:{port}",
                "topic": topic,
                "username": user,
                "password": password,
                "client_id": user,
                "qos": 1,
                "clean_session": False,
                "session_expiry_interval": 3600,
                "max_inflight": 5000,
                "queue_capacity": 5000,
                "delayed_ack": False,
            }
        },
        "output": {"sqlx": table},
        "batch_size": 2000,
        "concurrency": 2,
    }
).run()
