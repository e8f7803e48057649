from dataclasses import dataclass
from itertools import chain

import pytest

from broker.acl import render_acl
from cli.parts import MOST_REPLICAS, is_replica, parts
from noctis.errors import ConfigurationError
from noctis.mqtt import Address, Link
from noctis.replica import addresses, app_link, device_link, settings_of
from noctis.settings import Settings, parse_shards


@dataclass(frozen=True)
class Account:
    username: str
    password_hash: str = ""


@pytest.mark.parametrize("replicas", range(1, MOST_REPLICAS + 1))
@pytest.mark.parametrize("module", ["ingestor", "inference"])
def test_every_shard_has_one_replica_of_each_service_and_none_has_much_more(
    module: str, replicas: int
) -> None:
    owned = [sorted(parse_shards(p.shards)) for p in parts(replicas) if p.module == module]
    assert sorted(chain.from_iterable(owned)) == list(range(64))
    assert max(map(len, owned)) - min(map(len, owned)) <= 1


def test_no_two_processes_of_the_platform_share_a_name_or_an_account() -> None:
    started = parts(5)
    assert len({part.name for part in started}) == len(started) == 14
    accounts = [part.account for part in started if part.account]
    assert len(set(accounts)) == len(accounts) == 12  # runner and internal have none
    assert started[0].name == "ingestor"


@pytest.mark.parametrize(
    ("account", "verdict"),
    [
        ("svc-ingestor-0", True),
        ("svc-live-12", True),
        ("svc-api-0", False),
        ("svc-ingestor-", False),
        ("svc-ingestor-new", False),
        ("svc-my-live-1", False),
        ("t1/d1", False),
    ],
)
def test_only_numbered_ingestors_and_workers_are_replicas(account: str, verdict: bool) -> None:  # noqa: FBT001
    assert is_replica(account) is verdict


@pytest.mark.parametrize("name", ["svc-ingestor", "svc-ingestor-x", "svc-ingestor-0-0"])
def test_a_service_without_a_number_has_no_rights_on_the_broker(name: str) -> None:
    assert "user" not in render_acl([Account(name)])
    assert "user svc-ingestor-17" in render_acl([Account("svc-ingestor-17")])


def test_options_of_the_command_line_go_before_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NOCTIS_INSTANCE", "3")
    monkeypatch.setenv("NOCTIS_SHARDS", "0-31")
    monkeypatch.setattr("sys.argv", ["service", "--shards", "5,9"])
    settings = settings_of("service", None)
    assert (settings.instance, settings.shard_set) == (3, {5, 9})
    monkeypatch.setattr("sys.argv", ["service", "--shards", "5,64"])
    with pytest.raises(ConfigurationError, match="5,64"):
        settings_of("service", None)


def test_each_connection_goes_to_the_next_node_of_a_cluster() -> None:
    settings = Settings(broker_host="a, b:1884,c", broker_port=9, broker_mqtt="3.1.1")
    link = device_link(settings, "live")
    assert (link.username, link.version) == ("svc-live-0", 4)
    seen = [link.at(number) for number in range(1, 5)]
    assert [(it.host, it.port) for it in seen] == [("a", 9), ("b", 1884), ("c", 9), ("a", 9)]
    assert app_link(settings, "live") is None


def test_apps_may_have_a_broker_of_their_own() -> None:
    settings = Settings(app_broker_host="apps", app_broker_port=7, broker_mqtt="3.1.1")
    link = app_link(settings, "live")
    assert isinstance(link, Link)
    assert (link.host, link.port, link.username, link.version) == ("apps", 7, "svc-live-0", 5)


@pytest.mark.parametrize("text", ["", "a,,b", "a:b", ":1883"])
def test_what_names_no_broker_is_refused(text: str) -> None:
    assert addresses("a:1,::1", 2) == [Address("a", 1), Address("::1", 2)]
    with pytest.raises(ConfigurationError, match="names no broker"):
        addresses(text, 1883)
