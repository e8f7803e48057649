"""Replicas: several instances of one service, each with its shards and its own account."""

import argparse
from collections.abc import Sequence
from itertools import pairwise

from noctis import settings as settings_module
from noctis.errors import ConfigurationError
from noctis.mqtt import Address, Link
from noctis.settings import Settings
from noctis.topics import SHARDS

__all__ = ["addresses", "app_link", "device_link", "other_shards", "settings_of", "split"]


def settings_of(program: str, description: str | None) -> Settings:
    """Return the settings of a replica, with the command line's options before all others."""
    parser = argparse.ArgumentParser(prog=program, description=description)
    parser.add_argument("--shards", help="the shards to serve: 0-63, 0-31 or 0,5,9")
    parser.add_argument("--instance", help="the number in the account's name: svc-...-0")
    settings = settings_module.load(**vars(parser.parse_args()))
    settings.shard_set  # noqa: B018 - shards that make no sense are named at the start
    return settings


def device_link(
    settings: Settings, kind: str, *, receive_maximum: int = 5000, session_expiry_s: int = 0
) -> Link:
    """Return how the replica ``svc-<kind>-<instance>`` reaches the devices' broker."""
    node, *others = addresses(settings.broker_host, settings.broker_port)
    return Link(
        *node,
        f"svc-{kind}-{settings.instance}",
        settings.broker_password.get_secret_value(),
        ca=settings.broker_ca,
        version=5 if settings.broker_mqtt == "5" else 4,
        receive_maximum=receive_maximum,
        session_expiry_s=session_expiry_s,
        others=tuple(others),
    )


def app_link(settings: Settings, kind: str) -> Link | None:
    """Return how the replica reaches the apps' broker; None where it is the devices' one."""
    if not settings.app_broker_host:
        return None
    node, *others = addresses(settings.app_broker_host, settings.app_broker_port)
    return Link(
        *node,
        f"svc-{kind}-{settings.instance}",
        settings.app_broker_password.get_secret_value(),
        ca=settings.app_broker_ca,
        others=tuple(others),
    )


def addresses(hosts: str, port: int) -> Sequence[Address]:
    """Return the nodes of a broker: ``a,b:1884`` with ``port`` where none is named.

    Raises ConfigurationError for anything else.
    """
    found = []
    for text in hosts.split(","):
        is_ipv6 = text.count(":") > 1
        host, _, own = (text.strip(), "", "") if is_ipv6 else text.strip().partition(":")
        if not host or (own and not own.isdecimal()):
            message = f"{hosts!r} names no broker"
            raise ConfigurationError(message, hint="write it as host, host:port or a,b:1884")
        found.append(Address(host, int(own or port)))
    return found


def other_shards(shards: frozenset[int]) -> frozenset[int]:
    """Return the shards that are not among these."""
    return frozenset(range(SHARDS)) - shards


def split(replicas: int) -> list[str]:
    """Return the shards of each of so many replicas, as even as can be: ``0-31``, ``32-63``."""
    ends = [SHARDS * number // replicas for number in range(replicas + 1)]
    return [f"{low}-{high - 1}" for low, high in pairwise(ends)]
