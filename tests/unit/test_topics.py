import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noctis import topics
from noctis.errors import IdentityError, TopicError
from noctis.identity import DeviceId, app_username

VECTORS = Path(__file__).parent.parent / "vectors" / "shards.json"
names = st.from_regex(r"[a-z0-9-]{1,32}", fullmatch=True)
tenants = names.filter(lambda name: not name.startswith("svc-"))
devices = st.builds(DeviceId, tenants, names)


@given(devices, st.sampled_from(sorted(topics.UP_CHANNELS)))
def test_parsing_undoes_building(device: DeviceId, channel: str) -> None:
    assert topics.parse_up(topics.up(device, channel)) == topics.UpTopic(device, channel)


def test_shards_match_the_golden_ones() -> None:
    for row in json.loads(VECTORS.read_text("utf-8")):
        assert topics.shard_of(DeviceId(row["tenant"], row["device"])) == row["shard"]


@given(st.text(max_size=60))
def test_any_text_raises_nothing_but_a_topic_error(topic: str) -> None:
    with pytest.raises(TopicError):
        topics.parse_up(topic)


@pytest.mark.parametrize(
    "topic",
    [
        "noctis/v1/up/0/home/bedroom/epochs",
        "noctis/v1/up/007/t1/d1/epochs",
        "noctis/v1/up/7/home/bedroom/epochs/more",
        "noctis/v1/up/7/Home/bedroom/epochs",
        "noctis/v1/up/7/svc-x/bedroom/epochs",
        "noctis/v2/up/7/home/bedroom/epochs",
        "noctis/v1/up/7/home/bedroom/secret",
        "noctis/v1/up/7//bedroom/epochs",
    ],
)
def test_a_topic_of_a_wrong_shape_or_a_foreign_shard_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        topics.parse_up(topic)


def test_the_right_shard_of_the_examples_above_is_accepted() -> None:
    device = DeviceId("home", "bedroom")
    assert topics.parse_up(f"noctis/v1/up/{topics.shard_of(device)}/home/bedroom/epochs")


@pytest.mark.parametrize("name", ["", "A", "a/b", "a b", "x" * 33, "ä", "a+", "#", "a\n"])
def test_names_outside_the_alphabet_are_refused(name: str) -> None:
    with pytest.raises(IdentityError):
        DeviceId("home", name)
    with pytest.raises(IdentityError):
        DeviceId(name, "bedroom")
    with pytest.raises(IdentityError):
        app_username(name, "home")
