import json
import re
from base64 import b64decode
from hashlib import sha512
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.acl import rights
from broker.rabbitmq import definitions, permits, queues, routing_keys
from cli.main import app
from noctis.errors import ConfigurationError

DEVICE = "t1/d-1"


def may(username: str, access: str, key: str) -> bool:
    about = {"name": "amq.topic", "permission": access, "routing_key": key}
    return permits(username, "topic", about)


@pytest.mark.parametrize(
    ("access", "key", "verdict"),
    [
        ("write", "noctis.v1.up.5.t1.d-1.epochs", True),
        ("write", "noctis.v1.up.5.t1.d-1.status", True),
        ("write", "noctis.v1.up.5.t1.d-1.epochs.more", False),
        ("write", "noctis.v1.up.5.t1.d-10.epochs", False),
        ("write", "noctis.v1.up.5.t1.dx1.epochs", False),
        ("write", "noctis.v1.up.5.t2.d-1.epochs", False),
        ("write", "noctis.v1.up.5.x.t1.d-1.epochs", False),
        ("write", "noctis.v1.up.5.t1.d-1.epochs\n", False),
        ("write", "noctis.v1.down.t1.d-1.ack", False),
        ("write", "noctis.v1.app.t1.d-1.stage", False),
        ("read", "noctis.v1.down.t1.d-1.ack", True),
        ("read", "noctis.v1.down.t1.d-1.*", True),
        ("read", "noctis.v1.down.t1.d-1.#", False),
        ("read", "noctis.v1.down.t1.*.ack", False),
        ("read", "noctis.v1.down.#", False),
        ("read", "#", False),
        ("read", "noctis.v1.up.5.t1.d-1.epochs", False),
        ("configure", "noctis.v1.down.t1.d-1.ack", False),
    ],
)
def test_a_device_has_its_own_routing_keys_alone(
    access: str,
    key: str,
    verdict: bool,  # noqa: FBT001
) -> None:
    assert may(DEVICE, access, key) is verdict


def test_an_ingestor_reads_what_devices_send_and_writes_their_acknowledgements() -> None:
    assert may("svc-ingestor-3", "read", "noctis.v1.up.7.*.*.epochs")
    assert may("svc-ingestor-3", "write", "noctis.v1.down.t1.d1.ack")
    assert not may("svc-ingestor-3", "read", "noctis.v1.up.#")
    assert not may("svc-ingestor-3", "write", "noctis.v1.down.t1.d1.command")
    assert not may("svc-ingestor-3", "write", "noctis.v1.app.t1.d1.stage")


@pytest.mark.parametrize(
    ("question", "about", "verdict"),
    [
        ("vhost", {"vhost": "/"}, True),
        ("vhost", {"vhost": "other"}, False),
        ("resource", {"resource": "queue", "name": f"mqtt-subscription-{DEVICE}qos0"}, True),
        ("resource", {"resource": "queue", "name": "mqtt-subscription-t1/d-10qos0"}, False),
        ("resource", {"resource": "queue", "name": "mqtt-subscription-svc-live-0qos1"}, False),
        ("resource", {"resource": "exchange", "name": "amq.topic"}, False),
        (
            "resource",
            {"resource": "exchange", "name": "amq.topic", "permission": "write"},
            True,
        ),
        (
            "resource",
            {"resource": "exchange", "name": "amq.fanout", "permission": "write"},
            False,
        ),
        ("topic", {}, False),
        ("gossip", {"name": "amq.topic", "permission": "read"}, False),
    ],
)
def test_a_device_has_its_own_queue_and_the_topic_exchange(
    question: str,
    about: dict[str, str],
    verdict: bool,  # noqa: FBT001
) -> None:
    assert permits(DEVICE, question, about) is verdict


def test_definitions_leave_no_account_without_topic_permissions() -> None:
    made = definitions({"svc-live-0": "one", "svc-ingestor-0": "two"})
    names = ["svc-ingestor-0", "svc-live-0"]
    assert [user["name"] for user in made["users"]] == names
    assert [entry["user"] for entry in made["topic_permissions"]] == names
    raw = b64decode(made["users"][1]["password_hash"])
    assert raw[4:] == sha512(raw[:4] + b"one").digest()
    own = made["permissions"][1]
    assert re.search(own["configure"], "mqtt-subscription-svc-live-0qos0")
    assert not re.search(own["configure"], "amq.topic")
    assert made["topic_permissions"][1]["write"] == routing_keys("svc-live-0", "write")
    assert queues("svc-live-0") in own["read"]


def test_an_account_without_rights_may_use_no_routing_key() -> None:
    assert rights("svc-cuckoo-0") == ()
    assert not may("svc-cuckoo-0", "read", "")
    with pytest.raises(ConfigurationError):
        rights("cuckoo")


def test_definitions_are_printed_from_a_file_of_passwords(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text("svc-ingestor-0:a:b\nsvc-live-0:c\n")
    result = CliRunner().invoke(app, ["cluster", "rabbitmq-definitions", str(passwords)])
    assert [it["name"] for it in json.loads(result.output)["users"]] == [
        "svc-ingestor-0",
        "svc-live-0",
    ]
    passwords.write_text("svc-ingestor-0\n")
    result = CliRunner().invoke(app, ["cluster", "rabbitmq-definitions", str(passwords)])
    assert isinstance(result.exception, ConfigurationError)
    assert "line 1" in str(result.exception)


@pytest.mark.parametrize("name", ["t1/d1", "svc-api-0", "svc-ingestor"])
def test_only_a_replicas_session_can_be_dropped(name: str) -> None:
    result = CliRunner().invoke(app, ["cluster", "drop-session", name])
    assert isinstance(result.exception, ConfigurationError)
