from dataclasses import dataclass
from pathlib import Path

import pytest

from broker.acl import render_acl, render_passwords
from broker.config import Limits, Listener, Tls, render_config
from noctis.errors import ConfigurationError

HASH = "$7$101$c2FsdHNhbHQ=$aGFzaGhhc2g="


@dataclass(frozen=True)
class Account:
    username: str
    password_hash: str = HASH


def rights(acl: str) -> dict[str, list[str]]:
    blocks = [block.splitlines() for block in acl.split("\n\n")]
    return {block[0]: block[1:] for block in blocks}


def config(
    *listeners: Listener,
    persistence: Path | None = None,
    revoked: Path | None = Path("/s/revoked.crl"),
) -> str:
    return render_config(
        listeners,
        passwords=Path("/s/accounts"),
        acl=Path("/s/acl"),
        persistence=persistence,
        revoked=revoked,
    )


def test_devices_need_the_two_patterns_and_nothing_else() -> None:
    assert render_acl([Account("t1/d1"), Account("t1/d2")]) == (
        "pattern write noctis/v1/up/+/%u/#\npattern read noctis/v1/down/%u/#\n"
    )


def test_an_app_reads_its_tenants_topics_and_writes_nothing() -> None:
    assert rights(render_acl([Account("phone@t1")]))["user phone@t1"] == [
        "topic read noctis/v1/app/t1/#",
        "topic read noctis/v1/service/+/status",
        "topic read homeassistant/+/t1/+/config",
    ]


def test_no_service_may_read_or_write_everything() -> None:
    kinds = ("ingestor", "live", "companion", "api", "probe")
    acl = render_acl([Account(f"svc-{kind}-0") for kind in kinds])
    assert all(not line.endswith((" #", " noctis/#", "/v1/#")) for line in acl.splitlines())
    assert "topic readwrite" not in acl


def test_a_probe_of_the_broker_reaches_nobody_but_itself() -> None:
    [_, probe] = render_acl([Account("svc-probe-0")]).split("user svc-probe-0")
    topics = [line.split()[-1] for line in probe.splitlines() if line]
    assert set(topics) == {"noctis/v1/probe/#"}


def test_a_service_of_an_unknown_kind_gets_no_topics() -> None:
    assert "svc-cuckoo-0" not in render_acl([Account("svc-cuckoo-0")])


@pytest.mark.parametrize(
    "username",
    [
        "t1/d1\ntopic #",
        "t1/d1/x",
        "T1/d1",
        "t1/",
        "phone@t1/d1",
        "phone@",
        "@t1",
        "a@b@t1",
        "svc-live-0\n",
        "svc-live/d1",
        "root",
        "+/d1",
        "t1/#",
        "a:b@t1",
        "",
    ],
)
def test_a_name_that_could_forge_rights_is_refused(username: str) -> None:
    with pytest.raises(ConfigurationError):
        render_acl([Account(username)])
    with pytest.raises(ConfigurationError):
        render_passwords([Account(username)])


@pytest.mark.parametrize("hashed", ["", "plain", HASH + "\nroot:" + HASH, HASH + ":", "$6$a$b"])
def test_a_password_hash_that_is_none_is_refused(hashed: str) -> None:
    with pytest.raises(ConfigurationError, match="password hash"):
        render_passwords([Account("t1/d1", hashed)])


def test_passwords_are_one_line_an_account() -> None:
    text = render_passwords([Account("t1/d2"), Account("t1/d1")])
    assert text == f"t1/d1:{HASH}\nt1/d2:{HASH}\n"


def test_nothing_of_a_listener_stands_before_the_first_listener() -> None:
    """Mosquitto would open one more, on port 1883 of every interface."""
    head, _, tail = config(Listener(1884)).partition("\nlistener ")
    assert "use_username_as_clientid" not in head
    assert "use_username_as_clientid true" in tail
    for option in ("max_connections", "mount_point", "bind_address", "\nport", "protocol"):
        assert option not in head


def test_each_listener_takes_the_user_name_as_client_id() -> None:
    tls = Tls(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"))
    text = config(Listener(1884), Listener(8883, "0.0.0.0", tls))  # noqa: S104 - with TLS
    blocks = text.split("\nlistener ")[1:]
    assert [block.splitlines()[0] for block in blocks] == ["1884 127.0.0.1", "8883 0.0.0.0"]
    assert all("use_username_as_clientid true" in block for block in blocks)
    assert "require_certificate true" in blocks[1]
    assert "crlfile /s/revoked.crl" in blocks[1]
    assert "allow_anonymous false" in text


def test_a_listener_off_loopback_without_tls_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no TLS"):
        config(Listener(1883, "0.0.0.0"))  # noqa: S104 - what must be refused


def test_a_listener_for_certificates_without_a_list_of_revoked_ones_is_refused() -> None:
    tls = Tls(Path("/c.pem"), Path("/k.pem"), Path("/ca.pem"))
    with pytest.raises(ConfigurationError, match="revoked"):
        config(Listener(8884, tls=tls), revoked=None)


def test_a_user_who_is_denied_comes_before_the_patterns_that_would_let_him_in() -> None:
    rights_of = rights(render_acl([Account("t1/d2")], ["t1/d1"]))
    assert rights_of["user t1/d1"] == ["topic deny #"]


def test_persistence_saves_by_time_and_can_be_off() -> None:
    assert "persistence false" in config(Listener(1884))
    text = config(Listener(1884), persistence=Path("/s"))
    assert "persistence true" in text
    assert "autosave_on_changes false" in text
    assert "persistence_location /s/\n" in text


def test_queues_are_bounded_in_messages_and_bytes() -> None:
    text = render_config(
        [Listener(1884)],
        passwords=Path("/a"),
        acl=Path("/b"),
        persistence=None,
        limits=Limits(11, 12, 13, 14),
    )
    for line in (
        "max_inflight_messages 11",
        "max_queued_messages 12",
        "max_queued_bytes 13",
        "max_packet_size 14",
    ):
        assert f"{line}\n" in text
