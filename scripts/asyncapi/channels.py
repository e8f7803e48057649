"""Every topic that is spoken: who sends it, who hears it, how, and what it says."""

from dataclasses import dataclass
from typing import Final

from noctis import topics
from noctis.identity import DeviceId

__all__ = ["CHANNELS", "PLACES", "Channel"]

PLACES: Final = ("shard", "tenant", "device", "service")
_BED: Final = DeviceId("tenant", "device")


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic with ``{shard}``, ``{tenant}`` and ``{device}`` in it.

    ``sender`` and ``hearers`` are roles: ``device``, ``app``, or a kind of service connection.
    """

    name: str
    address: str
    message: str
    sender: str
    hearers: tuple[str, ...]
    qos: int
    retained: bool
    told: str


def _up(channel: str) -> str:
    address = topics.up(_BED, channel)
    return _named(address.replace(f"/{topics.shard_of(_BED)}/", "/{shard}/", 1))


def _named(address: str) -> str:
    return address.replace(f"/{_BED}/", "/{tenant}/{device}/", 1)


CHANNELS: Final = (
    Channel(
        "epochs",
        _up("epochs"),
        "frame",
        "device",
        ("ingestor", "live"),
        1,
        retained=False,
        told="Epochs as they are made; each goes here once.",
    ),
    Channel(
        "backlog",
        _up("backlog"),
        "frame",
        "device",
        ("ingestor",),
        1,
        retained=False,
        told="Epochs that are not acknowledged yet, oldest first, and every repeat.",
    ),
    Channel(
        "acknowledgements",
        _named(topics.ack(_BED)),
        "acknowledgement",
        "ingestor",
        ("device",),
        0,
        retained=False,
        told="Epochs that are committed. A lost one costs a repeat; none is queued.",
    ),
    Channel(
        "timeRequests",
        _up("time"),
        "timeRequest",
        "device",
        ("ingestor",),
        0,
        retained=False,
        told="A device whose network blocks SNTP asks the time.",
    ),
    Channel(
        "timeReplies",
        _named(topics.time(_BED)),
        "timeReply",
        "ingestor",
        ("device",),
        0,
        retained=False,
        told="The time, at once, database or no database.",
    ),
    Channel(
        "deviceStatus",
        _up("status"),
        "status",
        "device",
        ("companion",),
        1,
        retained=True,
        told="Where a device stands; its last will says `lost`.",
    ),
    Channel(
        "commands",
        _named(topics.command(_BED)),
        "command",
        "companion",
        ("device",),
        1,
        retained=False,
        told="What a device is to do; repeated until it answers, done once.",
    ),
    Channel(
        "commandResults",
        _up("result"),
        "result",
        "device",
        ("companion",),
        1,
        retained=False,
        told="What became of a command.",
    ),
    Channel(
        "desiredConfiguration",
        _named(topics.config(_BED)),
        "configuration",
        "companion",
        ("device",),
        1,
        retained=True,
        told="All that a device is to be set to.",
    ),
    Channel(
        "reportedConfiguration",
        _up("config"),
        "configurationReport",
        "device",
        ("companion",),
        1,
        retained=False,
        told="What it is set to, and what it refused.",
    ),
    Channel(
        "deviceLog",
        _up("log"),
        "logLines",
        "device",
        ("companion",),
        1,
        retained=False,
        told="Lines for whoever looks after a device.",
    ),
    Channel(
        "updateOffers",
        _named(topics.ota(_BED)),
        "updateOffer",
        "companion",
        ("device",),
        1,
        retained=True,
        told="Signed firmware; no bytes at all withdraw it.",
    ),
    Channel(
        "updateReports",
        _up("ota"),
        "updateReport",
        "device",
        ("companion",),
        1,
        retained=False,
        told="How far an update is.",
    ),
    Channel(
        "liveStages",
        _named(topics.stage(_BED)),
        "stage",
        "live",
        ("app", "api"),
        1,
        retained=True,
        told="The stage of the epoch that just ended; it expires after 120 s.",
    ),
    Channel(
        "mirroredStatus",
        _named(topics.device_status(_BED)),
        "mirroredStatus",
        "companion",
        ("app", "companion"),
        1,
        retained=True,
        told="A device's last status, for apps.",
    ),
    Channel(
        "tenantStatus",
        topics.tenant_status("tenant").replace("/tenant/", "/{tenant}/"),
        "tenantStatus",
        "companion",
        ("app", "companion"),
        1,
        retained=True,
        told="Whether the platform is there. One that died cannot say so: see serviceStatus.",
    ),
    Channel(
        "serviceStatus",
        topics.service_status("service").replace("/service/service/", "/service/{service}/"),
        "serviceStatus",
        "companion",
        ("app", "companion"),
        1,
        retained=True,
        told="Whether a companion is there; its last will says so when it died.",
    ),
    Channel(
        "discovery",
        _named(topics.discovery(_BED)),
        "discovery",
        "companion",
        ("app", "companion"),
        1,
        retained=True,
        told="What Home Assistant makes a device's entities from; no bytes at all: there is "
        "no such device any more.",
    ),
    Channel(
        "alerts",
        _named(topics.alert(_BED)),
        "alert",
        "companion",
        ("app",),
        1,
        retained=False,
        told="An alert was raised, cleared or acknowledged; each `id` counts once.",
    ),
    Channel(
        "lastNights",
        _named(topics.night(_BED)),
        "night",
        "companion",
        ("app",),
        1,
        retained=True,
        told="The last night once it has closed, and again whenever its revision rises; no "
        "bytes at all: there is none any more.",
    ),
)
