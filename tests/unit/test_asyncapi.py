import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from paho.mqtt.client import topic_matches_sub

from broker import acl
from noctis import topics
from noctis.errors import FrameError
from noctis.identity import DeviceId
from noctis.slot import SLOT
from scripts.asyncapi import CHANNELS, Channel, as_text, document
from tests import npm_packages
from tests.described import Topics, complaints

ROOT = Path(__file__).parents[2]
BED = DeviceId("home", "bed")
ROLES = {"device": str(BED), "app": "phone@home"}
CLEARING = {("companion", "write", "liveStages"), ("companion", "write", "deviceStatus")}
"""What an account may do to clear the retained messages of an erased device."""


def address(it: Channel) -> str:
    shard = str(topics.shard_of(BED))
    return it.address.format(
        shard=shard, tenant=BED.tenant, device=BED.device, service="svc-companion-0"
    )


def test_the_file_is_the_one_that_the_source_makes() -> None:
    hint = "run python -m scripts.generate_asyncapi"
    assert (ROOT / "docs" / "asyncapi.yaml").read_text("utf-8") == as_text(document()), hint


def test_the_official_schema_of_asyncapi_admits_it() -> None:
    folder = npm_packages.installed(ROOT / "tests" / "asyncapi")
    path = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    checker = Draft7Validator(json.loads(path.read_text("utf-8")))
    made = Topics().document
    assert [it.message[:300] for it in checker.iter_errors(made)] == []
    made["operations"]["deviceSendsEpochs"]["action"] = "shout"
    assert list(checker.iter_errors(made)) != []


def test_every_topic_that_is_built_is_described() -> None:
    described = Topics()
    for channel in topics.UP_CHANNELS:
        described.channel_of(topics.up(BED, channel))
    for build in (topics.ack, topics.command, topics.config, topics.ota, topics.time):
        described.channel_of(build(BED))
    for build in (topics.stage, topics.night, topics.device_status, topics.discovery):
        described.channel_of(build(BED))
    for topic in kept_for_apps():
        described.channel_of(topic)


def kept_for_apps() -> set[str]:
    return {
        *topics.retained_for_apps(BED),
        topics.tenant_status(BED.tenant),
        topics.service_status("svc-companion-0"),
    }


def test_what_is_retained_of_a_device_is_what_is_cleared_with_it() -> None:
    told = {address(it) for it in CHANNELS if it.retained}
    assert told == {*topics.retained_of_device(BED), *kept_for_apps()}


def rights(role: str) -> tuple[str, ...]:
    return acl.rights(ROLES.get(role, f"svc-{role}-0"))


def permitted(role: str, access: str) -> set[str]:
    filters = [it.partition(" ")[2] for it in rights(role) if it.partition(" ")[0] == access]
    return {
        it.name for it in CHANNELS if any(topic_matches_sub(f, address(it)) for f in filters)
    }


@pytest.mark.parametrize("role", ["device", "app", "ingestor", "live", "companion", "api"])
def test_the_broker_lets_a_role_do_just_what_is_described(role: str) -> None:
    clearing = {name for who, access, name in CLEARING if (who, access) == (role, "write")}
    assert permitted(role, "write") - clearing == {
        it.name for it in CHANNELS if it.sender == role
    }
    assert permitted(role, "read") == {it.name for it in CHANNELS if role in it.hearers}


def messages() -> list[tuple[str, dict[str, Any]]]:
    return list(Topics().document["components"]["messages"].items())


@pytest.mark.parametrize(("name", "message"), messages(), ids=[name for name, _ in messages()])
def test_every_example_is_what_its_message_says(name: str, message: dict[str, Any]) -> None:
    described = Topics()
    channel = next(it.name for it in CHANNELS if it.message == name)
    assert message["examples"]
    for example in message["examples"]:
        value = example["payload"]
        assert complaints(message["payload"], value) == []
        kind = message["contentType"]
        encode = {
            "application/json": lambda it: json.dumps(it).encode(),
            "application/octet-stream": bytes.fromhex,
            "text/plain": str.encode,
        }
        described.check(channel, encode[kind](value))


def test_what_is_no_message_of_a_channel_is_told() -> None:
    described = Topics()
    with pytest.raises(FrameError):
        described.check("epochs", b"no frame")
    for channel in ("deviceStatus", "liveStages", "commands", "desiredConfiguration"):
        with pytest.raises(AssertionError):
            described.check(channel, b'{"state": "asleep"}')
    with pytest.raises(AssertionError):
        described.channel_of("noctis/v1/up/1/home/bed/dreams")


def test_the_bits_of_slots_fill_their_bytes() -> None:
    frame = Topics().document["components"]["messages"]["frame"]["payload"]
    for name in ("x-epoch-slot", "x-run-slot"):
        at = 0
        for field in frame[name]:
            assert field["bit"] == at
            at += field["width"]
        assert at == 8 * SLOT
    page = (ROOT / "docs" / "protocol.md").read_text("utf-8")
    anchors = {_anchor(it) for it in re.findall(r"^## (.+)$", page, re.MULTILINE)}
    for _, message in messages():
        named = re.findall(r"protocol\.md#([\w-]+)", message.get("description", ""))
        assert set(named) <= anchors


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
