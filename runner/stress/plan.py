"""A load as it was ordered: how many devices send how many epochs, and when each is due."""

import secrets
import time
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from noctis.ages import AGES
from noctis.epoch import EPOCH_SECONDS, Frame, Run, encode_frame
from noctis.features import FEATURES
from noctis.identity import DeviceId, app_username

__all__ = ["Plan"]

MOST_DEVICES: Final = 1 << 12
PAST_S: Final = 2 * round(AGES[-1])
_CODES: Final = np.array([[it.missing // 2 for it in FEATURES]], np.int16)
"""One epoch in which somebody is in bed and all was measured, halfway up each scale."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Epoch number n is due n / ``rate`` seconds after the start; devices take turns.

    ``began_s``, in unix seconds, is when the devices' clocks say that their first epochs
    began: so long ago that no measure of the platform's counts their ages. ``streams`` is the
    first of MOST_DEVICES streams.
    """

    number: int
    devices: int
    rate: float
    seconds: int
    began_s: int
    streams: int

    @classmethod
    def now(cls, number: int, devices: int, rate: float, seconds: int) -> Self:
        """Return a plan with streams of its own, whose epochs are past all measures of age."""
        streams = secrets.randbits(64) & -MOST_DEVICES
        made = cls(number, devices, rate, seconds, 0, streams)
        return replace(made, began_s=int(time.time()) - PAST_S - made.history_s)

    @property
    def epochs(self) -> int:
        """How many are to be sent."""
        return max(1, round(self.rate * self.seconds))

    @property
    def tenant(self) -> str:
        """The tenant that is made up for it."""
        return f"stress-{self.number}"

    @property
    def app(self) -> str:
        """The account of the app that hears the stages."""
        return app_username("listener", self.tenant)

    @property
    def history_s(self) -> int:
        """How long one device takes to make its epochs in real life."""
        return EPOCH_SECONDS * (-(-self.epochs // self.devices) + 1)

    def device(self, place: int) -> DeviceId:
        """Return the device of a place, 0 and up."""
        return DeviceId(self.tenant, f"d{place}")

    def stream(self, place: int) -> int:
        """Return the stream of a device."""
        return self.streams + place

    def due_s(self, epoch: int) -> float:
        """Return when an epoch is due, in seconds after the start."""
        return epoch / self.rate

    def frame(self, epoch: int) -> tuple[int, int, bytes]:
        """Return an epoch's device, its sequence number and what is sent of it."""
        turn, place = divmod(epoch, self.devices)
        run = Run(0, 0, 1, 0, self.began_s)
        frame = Frame(self.stream(place), turn + 1, 0, run, _CODES, np.ones(1, np.bool_))
        return place, turn + 1, encode_frame(frame)
