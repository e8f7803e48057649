"""The broker: whether it answers, over TLS where it should, and knows the accounts."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site, Told
from noctis.mqtt import Address
from noctis.replica import addresses

__all__ = ["look"]

_topic: Final = Topic("broker")
ANSWER_S: Final = 3.0
STALE_S: Final = 10.0
QUEUED: Final = 10_000
FULL: Final = 0.8
MOST_QUEUED_BYTES: Final = 64 * 1024 * 1024
_CONNECT: Final = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x0a\x00\x00"
"""A nameless client; its refusal shows a broker at work, and evicts nobody."""

_CONNACK: Final = 0x20


def look(site: Site) -> Iterator[Finding]:
    """Knock at every address of the broker, and read what it measures."""
    if site.is_at_rest:
        return
    for address in _addresses(site):
        yield _knock(
            address, None if site.run or not site.settings else site.settings.broker_ca
        )
    for told in site.told().values():
        if told.name == "broker" and not told.error:
            yield from _accounts(told)
            yield from _queues(told)


def _addresses(site: Site) -> Sequence[Address]:
    if site.run:
        known = site.run["broker"]
        return [Address(known["host"], known["port"])]
    if site.settings is None:
        return []
    return addresses(site.settings.broker_host, site.settings.broker_port)


def _knock(address: Address, ca: Path | None) -> Finding:
    place = f"{address.host}:{address.port}"
    try:
        answer, version = _answer(address, ca)
    except ssl.SSLCertVerificationError as error:
        return _topic.fault(
            "untrusted",
            f"the certificate of {place} is not trusted: {error.verify_message}",
            means="services and devices refuse to talk to it",
            cure=f"noctis ca server {address.host} ...; trust the CA that signed it "
            "(NOCTIS_BROKER_CA); noctis doctor certificates",
            of=place,
        )
    except OSError as error:
        return _topic.fault(
            "unreachable",
            f"nothing answers MQTT at {place}: {error.strerror or error}",
            means="devices keep their epochs, apps hear nothing",
            cure="is it running? docker compose up -d broker; the end of its log says why not",
            of=place,
        )
    if answer[:1] != bytes([_CONNACK]):
        return _topic.fault(
            "stranger",
            f"what listens at {place} is no MQTT broker",
            means="another program has its port",
            cure="noctis doctor ports names who; NOCTIS_BROKER_PORT chooses another",
            of=place,
        )
    secured = f" over {version}" if version else ""
    return _topic.ok("answers", f"{place} answers{secured}", of=place)


def _answer(address: Address, ca: Path | None) -> tuple[bytes, str]:
    with socket.create_connection(address, ANSWER_S) as raw:
        raw.settimeout(ANSWER_S)
        if ca is None:
            raw.sendall(_CONNECT)
            return raw.recv(4), ""
        context = ssl.create_default_context(cafile=ca)
        with context.wrap_socket(raw, server_hostname=address.host) as link:
            link.sendall(_CONNECT)
            return link.recv(4), link.version() or ""


def _accounts(told: Told) -> Iterator[Finding]:
    age = told.age("noctis_broker_accounts_timestamp_seconds")
    count = told.metric("noctis_broker_accounts")
    if age is not None and age < STALE_S:
        yield _topic.ok("accounts", f"its {count:.0f} accounts are those of the database")
        return
    since = "since its start" if age is None else f"for {age:.0f} s"
    yield _topic.fault(
        "accounts-stale",
        f"its accounts were not brought up to the database's {since}",
        means="new devices cannot log in, and revoked ones still can",
        cure="`accounts_not_read` or `accounts_wait` in the log of the broker says why",
    )


def _queues(told: Told) -> Iterator[Finding]:
    if not told.labelled("noctis_broker_clients"):
        return
    clients = told.metric("noctis_broker_clients")
    queued = told.metric("noctis_broker_queued_messages")
    size = told.metric("noctis_broker_queued_bytes")
    seen = f"{clients:.0f} clients, {queued:.0f} messages ({int(size) >> 10} KiB) kept"
    with suppress(ZeroDivisionError):
        seen += f", {told.metric('noctis_broker_dropped_total'):.0f} ever dropped"
    if queued > QUEUED or size > FULL * MOST_QUEUED_BYTES:
        yield _topic.warning(
            "queue",
            seen,
            means="somebody does not take what is for him; beyond 100,000 messages or 64 MiB "
            "the broker drops the rest, and devices send it again",
            cure="noctis doctor services: an ingestor that is gone; "
            "noctis cluster drop-session of one that is gone for good",
        )
    else:
        yield _topic.ok("queue", seen)
