"""MQTT topics: built and parsed here, and nowhere else."""

from dataclasses import dataclass
from zlib import crc32

from noctis.errors import IdentityError, TopicError
from noctis.identity import DeviceId, check_tenant

__all__ = [
    "SHARDS",
    "UpTopic",
    "ack",
    "alert",
    "all_stages",
    "command",
    "config",
    "device_of_app",
    "device_status",
    "discovery",
    "is_up",
    "night",
    "of_all_devices",
    "of_all_tenants",
    "ota",
    "parse_stage",
    "parse_up",
    "retained_for_apps",
    "retained_of_device",
    "service_status",
    "shard_of",
    "stage",
    "stages",
    "tenant_of_status",
    "tenant_status",
    "time",
    "up",
    "ups",
]

ROOT = "noctis/v1"
DISCOVERY = "homeassistant"
SHARDS = 64
UP_CHANNELS = frozenset(
    {"epochs", "backlog", "status", "time", "config", "result", "ota", "log"}
)


def shard_of(device: DeviceId) -> int:
    """Return the shard, 0 to 63, that a device's messages belong to, for ever."""
    return crc32(str(device).encode("ascii")) % SHARDS


@dataclass(frozen=True, slots=True)
class UpTopic:
    """A topic from a device to the services."""

    device: DeviceId
    channel: str


def up(device: DeviceId, channel: str) -> str:
    """Return ``noctis/v1/up/<shard>/<tenant>/<device>/<channel>``."""
    if channel not in UP_CHANNELS:
        message = f"{channel!r} is no channel of a device"
        raise TopicError(message, hint=f"one of {', '.join(sorted(UP_CHANNELS))}")
    return f"{ROOT}/up/{shard_of(device)}/{device}/{channel}"


def ups(shard: int, channel: str) -> str:
    """Return the filter of one channel of all devices of a shard."""
    return f"{ROOT}/up/{shard}/+/+/{channel}"


def parse_up(topic: str) -> UpTopic:
    """Return the sender and channel of a topic from a device.

    Raises TopicError for another shape, a bad name, an unknown channel, or a shard that is
    not the sender's.
    """
    parts = topic.split("/")
    if len(parts) != 7 or "/".join(parts[:3]) != f"{ROOT}/up":  # noqa: PLR2004 - the shape
        message = f"topic {topic!r} is not {ROOT}/up/<shard>/<tenant>/<device>/<channel>"
        raise TopicError(message)
    shard, tenant, name, channel = parts[3:]
    try:
        device = DeviceId(tenant, name)
    except IdentityError as error:
        message = f"topic {topic!r}: {error}"
        raise TopicError(message) from error
    if shard != str(shard_of(device)):
        message = f"topic {topic!r}: shard {shard} is not {device}'s"
        raise TopicError(message, hint=f"its shard is {shard_of(device)}")
    if channel not in UP_CHANNELS:
        message = f"topic {topic!r}: unknown channel {channel!r}"
        raise TopicError(message)
    return UpTopic(device, channel)


def ack(device: DeviceId) -> str:
    """Return the topic of the ingestor's acknowledgements to a device."""
    return f"{ROOT}/down/{device.tenant}/{device.device}/ack"


def command(device: DeviceId) -> str:
    """Return the topic of the commands to a device."""
    return f"{ROOT}/down/{device}/command"


def config(device: DeviceId) -> str:
    """Return the topic of what a device is to be set to."""
    return f"{ROOT}/down/{device}/config"


def ota(device: DeviceId) -> str:
    """Return the topic of the firmware that a device is offered."""
    return f"{ROOT}/down/{device}/ota"


def time(device: DeviceId) -> str:
    """Return the topic of the ingestor's replies to a device that asked the time."""
    return f"{ROOT}/down/{device}/time"


def stage(device: DeviceId) -> str:
    """Return the topic of a device's live stage."""
    return f"{ROOT}/app/{device}/stage"


def stages(tenant: str) -> str:
    """Return the filter of the live stages of all devices of a tenant."""
    return f"{ROOT}/app/{check_tenant(tenant)}/+/stage"


def all_stages() -> str:
    """Return the filter of the live stages of all devices of all tenants."""
    return f"{ROOT}/app/+/+/stage"


def parse_stage(topic: str) -> DeviceId:
    """Return whose live stage a topic tells; raise TopicError for any other topic."""
    parts = topic.split("/")
    if len(parts) != 6 or "/".join(parts[:3]) != f"{ROOT}/app" or parts[5] != "stage":  # noqa: PLR2004 - the shape
        message = f"topic {topic!r} is not {ROOT}/app/<tenant>/<device>/stage"
        raise TopicError(message)
    try:
        return DeviceId(parts[3], parts[4])
    except IdentityError as error:
        message = f"topic {topic!r}: {error}"
        raise TopicError(message) from error


def night(device: DeviceId) -> str:
    """Return the topic of a device's last night."""
    return f"{ROOT}/app/{device}/night"


def alert(device: DeviceId) -> str:
    """Return the topic of a device's alerts."""
    return f"{ROOT}/app/{device}/alert"


def device_status(device: DeviceId) -> str:
    """Return the topic on which apps find a device's last status."""
    return f"{ROOT}/app/{device}/status"


def discovery(device: DeviceId) -> str:
    """Return the topic on which Home Assistant finds what a device's entities are."""
    return f"{DISCOVERY}/device/{device}/config"


def of_all_devices() -> tuple[str, str]:
    """Return the filters of ``device_status`` and ``discovery`` of all devices."""
    return (f"{ROOT}/app/+/+/status", f"{DISCOVERY}/device/+/+/config")


def of_all_tenants() -> str:
    """Return the filter of ``tenant_status`` of all tenants."""
    return f"{ROOT}/app/+/status"


def is_up(topic: str) -> bool:
    """Tell whether a topic is one from a device to the services."""
    return topic.startswith(f"{ROOT}/up/")


def device_of_app(topic: str) -> DeviceId | None:
    """Return whose ``device_status`` or ``discovery`` a topic is; None: no such topic."""
    match topic.split("/"):
        case ["noctis", "v1", "app", tenant, device, "status"]:
            pass
        case ["homeassistant", "device", tenant, device, "config"]:
            pass
        case _:
            return None
    try:
        return DeviceId(tenant, device)
    except IdentityError:
        return None


def service_status(username: str) -> str:
    """Return the topic on which a service's account tells all apps whether it is there."""
    return f"{ROOT}/service/{username}/status"


def tenant_status(tenant: str) -> str:
    """Return the topic on which the platform tells a tenant's apps how it is."""
    return f"{ROOT}/app/{check_tenant(tenant)}/status"


def tenant_of_status(topic: str) -> str | None:
    """Return whose ``tenant_status`` a topic is; None: no such topic."""
    match topic.split("/"):
        case ["noctis", "v1", "app", tenant, "status"]:
            try:
                return check_tenant(tenant)
            except IdentityError:
                return None
        case _:
            return None


def retained_of_device(device: DeviceId) -> tuple[str, ...]:
    """Return the topics between a device and the services that keep their last message."""
    return (up(device, "status"), config(device), ota(device))


def retained_for_apps(device: DeviceId) -> tuple[str, ...]:
    """Return the topics for apps that keep the last message on a device."""
    own = (f"{ROOT}/app/{device}/{name}" for name in ("stage", "night"))
    return (*own, device_status(device), discovery(device))
