"""Rights on a RabbitMQ cluster: the same as on Mosquitto, in RabbitMQ's terms.

RabbitMQ takes topics for routing keys, with '.' for '/', and its placeholder ``{username}``
puts the bare name into a regular expression. A device's name holds a '/', so every account
gets permissions of its own here.
"""

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha512
from typing import Any, Final

from broker.acl import rights

__all__ = ["definitions", "permits", "queues", "routing_keys"]

EXCHANGE: Final = "amq.topic"
QUEUE_BYTES: Final = 1 << 30
"""What a service that is away may pile up; the oldest go first, their devices send again."""


def routing_keys(username: str, access: str) -> str:
    """Return the regular expression of the routing keys an account may read or write.

    Bindings are routing keys too: '*' stands for any one level, '#' for all that follow.
    """
    filters = [it.split(" ")[1] for it in rights(username) if it.startswith(f"{access} ")]
    return f"^({'|'.join(_expression(it) for it in filters) or '(?!)'})$"


def queues(username: str) -> str:
    """Return the regular expression of the queues that hold an account's subscriptions.

    Their names come from the client id, which must be the user name.
    """
    return f"^mqtt-subscription-{re.escape(username)}qos[01]$"


def permits(username: str, question: str, about: Mapping[str, str]) -> bool:
    """Answer RabbitMQ's question whether an account may use a vhost, resource or topic.

    ``about`` holds what the plugin ``rabbitmq_auth_backend_http`` sends with the question.
    """
    name, access = about.get("name", ""), about.get("permission", "")
    if question == "vhost":
        return about.get("vhost") == "/"
    if question == "resource" and about.get("resource") == "queue":
        return re.fullmatch(queues(username), name) is not None
    if name != EXCHANGE or access not in {"read", "write"}:
        return False
    if question == "resource":
        return about.get("resource") == "exchange"
    keys = routing_keys(username, access)
    return question == "topic" and bool(re.fullmatch(keys, about.get("routing_key", "")))


def definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Return RabbitMQ's definitions (``load_definitions``) of accounts by name.

    Without topic permissions an account could do anything, so each gets both.
    """
    names = sorted(passwords)
    return {
        "vhosts": [{"name": "/"}],
        "users": [_user(name, passwords[name]) for name in names],
        "permissions": [_permission(name) for name in names],
        "topic_permissions": [
            {
                "user": name,
                "vhost": "/",
                "exchange": EXCHANGE,
                "write": routing_keys(name, "write"),
                "read": routing_keys(name, "read"),
            }
            for name in names
        ],
        "policies": [
            {
                "vhost": "/",
                "name": "mqtt-subscriptions",
                "pattern": "^mqtt-subscription-",
                "apply-to": "queues",
                "definition": {"max-length-bytes": QUEUE_BYTES, "overflow": "drop-head"},
            }
        ],
    }


def _expression(topic_filter: str) -> str:
    levels = {"+": r"[^.#\s]+", "#": ".*"}
    return r"\.".join(levels.get(it) or re.escape(it) for it in topic_filter.split("/"))


def _user(name: str, password: str) -> dict[str, Any]:
    salt = secrets.token_bytes(4)
    digest = sha512(salt + password.encode()).digest()
    return {
        "name": name,
        "password_hash": b64encode(salt + digest).decode(),
        "hashing_algorithm": "rabbit_password_hashing_sha512",
        "tags": "",
    }


def _permission(name: str) -> dict[str, str]:
    own = queues(name)
    with_exchange = f"{own}|^{re.escape(EXCHANGE)}$"
    return {
        "user": name,
        "vhost": "/",
        "configure": own,
        "write": with_exchange,
        "read": with_exchange,
    }
