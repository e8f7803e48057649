"""An epoch's way through the services, told under one name that nobody has to carry.

The trace of an epoch is who made it and where it stands in its stream,
``tenant/device:stream:seq``: every service knows it from the frame, so nothing is added to the
wire, and the same text finds an epoch in the logs, in the database and in the device's own log.
A fleet makes too many epochs to write a line for each: ``NOCTIS_TRACE`` names the devices whose
epochs are followed.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

import structlog

from noctis.identity import DeviceId

__all__ = ["follow", "is_followed", "tell", "trace_of"]

_log = structlog.get_logger(__name__)
_patterns: list[str] = []


def follow(devices: str) -> None:
    """Follow the epochs of these devices: names or patterns, ``home/bedroom,lab/*``."""
    _patterns[:] = [it.strip() for it in devices.split(",") if it.strip()]
    is_followed.cache_clear()


@lru_cache(maxsize=1 << 16)
def is_followed(device: DeviceId) -> bool:
    """Tell whether a device's epochs are followed."""
    return any(fnmatchcase(str(device), pattern) for pattern in _patterns)


def trace_of(device: DeviceId, stream: int, seq: int) -> str:
    """Return an epoch's trace, its stream as 16 hexadecimal digits."""
    return f"{device}:{stream:016x}:{seq}"


def tell(
    event: str, device: DeviceId, stream: int, seqs: Iterable[int], **more: object
) -> None:
    """Log what happened to epochs, a line each, where their device is followed."""
    if _patterns and is_followed(device):
        for seq in seqs:
            _log.info(event, trace=trace_of(device, stream, seq), **more)
