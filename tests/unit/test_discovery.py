"""What Home Assistant is told of a device, held against what it admits."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from companion.announcing import OFFLINE, ONLINE, mirrored
from companion.discovery import payload
from noctis import topics
from noctis.alerts import RULES, Transition, event_type
from noctis.identity import DeviceId
from noctis.status import Status
from tests.described import Topics
from tests.home_assistant import complaints, entities, render

BED: Final = DeviceId("home", "bed")
SERVICE: Final = topics.service_status("svc-companion-0")
GOOD: Final = payload(BED, SERVICE)
TOPIC: Final = topics.discovery(BED)
NAMES: Final = st.from_regex("[a-z0-9-]{1,32}", fullmatch=True).filter(
    lambda it: not it.startswith("svc-")
)
DEVICES: Final = st.builds(DeviceId, NAMES, NAMES)


def entity(key: str) -> dict[str, Any]:
    return entities(GOOD)[f"noctis_home_bed_{key}"]


def state(key: str, message: bytes) -> str:
    return render(entity(key)["value_template"], message)


@cache
def described() -> dict[str, Any]:
    return Topics().document


def example(message: str) -> bytes:
    shown = described()["components"]["messages"][message]["examples"][0]["payload"]
    return json.dumps(shown).encode()


@settings(deadline=None, max_examples=20)
@given(DEVICES)
def test_every_device_is_told_as_home_assistant_admits_it_and_always_the_same(
    device: DeviceId,
) -> None:
    made = payload(device, SERVICE)
    assert complaints(topics.discovery(device), made) == []
    assert payload(device, SERVICE) == made
    assert len(made) < 16 * 1024


@settings(deadline=None, max_examples=20)
@given(DEVICES, DEVICES)
def test_no_two_devices_share_an_id(one: DeviceId, other: DeviceId) -> None:
    ids = [payload(it, SERVICE) for it in (one, other)]
    shared = entities(ids[0]).keys() & entities(ids[1]).keys()
    assert bool(shared) == (one == other)


def test_names_that_could_be_taken_for_each_other_are_told_apart() -> None:
    one, other = DeviceId("a-b", "c"), DeviceId("a", "b-c")
    assert not entities(payload(one, SERVICE)).keys() & entities(payload(other, SERVICE)).keys()


def _parts(document: dict[str, Any]) -> list[dict[str, Any]]:
    cmps = list(document["cmps"].values())
    nested = [it for part in (document, *cmps) for it in part.get("avty", [])]
    return [document, document["dev"], *cmps, *nested]


JUNK: Final = st.sampled_from(["", [], {}, -1, None, 1.5, ["x", "x"]])


@settings(deadline=None)
@given(st.data())
def test_a_message_with_anything_broken_is_refused(data: st.DataObject) -> None:
    document = json.loads(GOOD)
    part = data.draw(st.sampled_from(_parts(document)))
    hurt: Callable[[dict[str, Any]], None] = data.draw(
        st.sampled_from([_unknown_key, _junk(data), _lost_key(data)])
    )
    hurt(part)
    assert complaints(TOPIC, json.dumps(document).encode()) != []


def _unknown_key(part: dict[str, Any]) -> None:
    part["obj_id"] = "bed"


def _junk(data: st.DataObject) -> Callable[[dict[str, Any]], None]:
    def hurt(part: dict[str, Any]) -> None:
        key = data.draw(st.sampled_from(sorted(part)))
        part[key] = data.draw(JUNK)

    return hurt


def _lost_key(data: st.DataObject) -> Callable[[dict[str, Any]], None]:
    def hurt(part: dict[str, Any]) -> None:
        needed = {"p", "uniq_id", "stat_t", "name", "t", "dev", "o", "cmps", "ids", "mf"}
        del part[data.draw(st.sampled_from(sorted(needed & part.keys())))]

    return hurt


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("stage", {"unit_of_meas": "stages"}),
        ("stage", {"stat_cla": "measurement"}),
        ("stage", {"dev_cla": "duration"}),
        ("stage", {"ops": ["deep", "deep"]}),
        ("night_asleep", {"unit_of_meas": "bpm"}),
        ("night_began", {"stat_cla": "measurement"}),
        ("night_began", {"unit_of_meas": "min"}),
        ("heart_rate", {"dev_cla": "heart_rate"}),
        ("heart_rate", {"stat_cla": "average"}),
        ("heart_rate", {"ops": ["fast"]}),
        ("heart_rate", {"val_tpl": "{{ value_json.hr_bpm"}),
        ("heart_rate", {"stat_t": "noctis/v1/app/home/+/stage"}),
        ("heart_rate", {"uniq_id": "noctis_home_bed_stage"}),
        ("heart_rate", {"default_entity_id": "event.noctis_bed_heart_rate"}),
        ("heart_rate", {"default_entity_id": "sensor.Heart rate"}),
        ("in_bed", {"dev_cla": "bed"}),
        ("in_bed", {"stat_cla": "measurement"}),
        ("alert", {"evt_typ": []}),
        ("alert", {"p": "siren"}),
    ],
)
def test_what_does_not_go_together_is_refused(key: str, changes: dict[str, Any]) -> None:
    document = json.loads(GOOD)
    document["cmps"][key] |= changes
    assert complaints(TOPIC, json.dumps(document).encode()) != []


def test_a_topic_that_home_assistant_never_reads_is_refused() -> None:
    assert complaints("homeassistant/device/home/bed/light/config", GOOD) != []
    assert complaints(TOPIC, b"") != []
    assert complaints(TOPIC, GOOD.replace(b'"qos":1', b'"qos":1,"qos":1')) != []


def test_the_templates_find_what_the_live_stage_says() -> None:
    message = example("stage")
    assert state("stage", message) == "light"
    assert state("stage", message) in entity("stage")["options"]
    assert (state("heart_rate", message), state("breathing", message)) == ("57.4", "13.2")
    assert (state("in_bed", message), state("quality", message)) == ("ON", "100.0")


def test_what_is_not_known_is_none_and_not_nought() -> None:
    empty = {"stage": None, "hr_bpm": None, "rr_bpm": None, "quality": None, "in_bed": False}
    message = json.dumps(json.loads(example("stage")) | empty).encode()
    for key in ("stage", "heart_rate", "breathing", "quality"):
        assert state(key, message) == "None"
    assert state("in_bed", message) == "OFF"


def test_the_templates_find_the_figures_of_the_last_night() -> None:
    message = example("night")
    told = json.loads(message)
    for key, found in entities(GOOD).items():
        if found["state_topic"] == topics.night(BED):
            value = render(found["value_template"], message)
            assert value in {str(it) for it in (*told["figures"].values(), *told.values())}, key
            assert value != "None", key


def test_the_templates_find_how_the_device_is() -> None:
    message = mirrored(
        Status(
            state="online",
            stream="9f0c1d2e3a4b5c6d",
            oldest_seq=0,
            next_seq=41,
            backlog=3,
            firmware="noctis-device 0.1.0",
        )
    )
    assert state("backlog", message) == "3"
    assert state("firmware", message) == "noctis-device 0.1.0"
    assert state("connection", message) == "ON"
    assert state("radar", message) == state("rssi", message) == "None"


def test_a_device_is_there_while_it_and_the_platform_are() -> None:
    service, device = entity("stage")["availability"]
    assert service["topic"] == SERVICE
    assert render(service["value_template"], ONLINE) == "online"
    assert render(service["value_template"], OFFLINE) == "offline"
    lost, sleeping = b'{"state":"lost"}', b'{"state":"sleeping"}'
    assert render(device["value_template"], lost) == "offline"
    assert render(device["value_template"], sleeping) == "online"
    for key in ("alert", "connection", "night_asleep"):  # of a device that is away, too
        assert entity(key)["availability"] == [service]


def test_alerts_are_the_events_that_the_rules_make() -> None:
    changes: tuple[Transition, ...] = ("raised", "cleared", "acknowledged")
    made = {event_type(rule, change) for rule in RULES for change in changes}
    assert set(entity("alert")["event_types"]) == made
    assert json.loads(example("alert"))["event_type"] in made
    assert "value_template" not in entity("alert")  # its JSON is the event


def test_live_values_end_when_the_broker_forgets_them() -> None:
    assert "expires after 120 s" in described()["channels"]["liveStages"]["description"]
    assert entity("stage")["expire_after"] == 120


PAGE: Final = (Path(__file__).parents[2] / "docs" / "home-assistant.md").read_text("utf-8")
BEDROOM: Final = {
    it["default_entity_id"]: it
    for it in entities(payload(DeviceId("home", "bedroom"), SERVICE)).values()
}


def test_the_page_lists_every_entity_and_its_id() -> None:
    listed = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(BEDROOM)


def automations() -> list[dict[str, Any]]:
    texts = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return [yaml.safe_load(text) for text in texts]


def walk(part: object) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        for key, value in part.items():
            yield str(key), value
            yield from walk(value)
    elif isinstance(part, list):
        for it in part:
            yield from walk(it)


def test_the_automations_of_the_page_are_ones_and_name_entities_that_there_are() -> None:
    lamp, told = automations()
    for each in (lamp, told):
        assert {"alias", "triggers", "actions", "mode"} <= each.keys()
        assert each.keys() <= {"alias", "triggers", "conditions", "actions", "mode"}
        named = [value for key, value in walk(each) if key == "entity_id"]
        assert named
        assert {it for it in named if "noctis" in it} <= BEDROOM.keys()
    assert lamp["triggers"][0]["to"] in BEDROOM[lamp["triggers"][0]["entity_id"]]["options"]
    assert lamp["conditions"][0]["state"] == "on"  # a bare on is true in YAML
    ids = {it["id"] for it in told["triggers"]}
    assert ids == {value for key, value in walk(told["actions"]) if key == "id"}


def test_the_words_of_the_automations_come_out_of_their_templates() -> None:
    def states(entity_id: str) -> str:
        return str(BEDROOM[entity_id]["name"])

    trigger = {"to_state": {"attributes": {"message": "bed is silent"}}}
    words = [
        render(value, b"{}", states=states, trigger=trigger)
        for key, value in walk(automations()[1])
        if key == "message"
    ]
    assert words[0].startswith("Last night asleep minutes asleep,")
    assert words[1] == "bed is silent"
