"""The requests of the facade's bench."""

import json
import random
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote
from uuid import UUID

from bench.http_load import Make
from noctis.features import NAMES

__all__ = ["Asking"]

_random: Final = random.Random(1)  # noqa: S311 - which device is asked for


class Asking:
    """Makes requests, of devices, days and nights at random."""

    def __init__(
        self, token: str, beds: list[str], begin: datetime, days: int, keys: list[UUID]
    ) -> None:
        self._token = token
        self._beds = beds
        self._begin = begin
        self._days = days
        self._keys = keys
        features = dict.fromkeys(NAMES) | {"hr_mean": 57.0, "quality": 0.9}
        epochs = [{"in_bed": True, "features": features}] * 960
        self._night = json.dumps({"epochs": epochs, "last": 1}).encode()

    def routes(self) -> dict[str, Make]:
        """Return the read routes by name."""
        return {
            "devices": lambda: self._get("/v1/devices"),
            "device": lambda: self._get(f"/v1/devices/{self._bed}"),
            "epochs": lambda: self._get(f"/v1/devices/{self._bed}/epochs?{self._since}"),
            "predictions": lambda: self._get(
                f"/v1/devices/{self._bed}/predictions?{self._since}"
            ),
            "nights of a device": lambda: self._get(f"/v1/recordings?device={self._bed}"),
            "nights of all": lambda: self._get("/v1/recordings"),
            "night": lambda: self._get(f"/v1/recordings/{self._key}"),
            "hypnogram": lambda: self._get(f"/v1/recordings/{self._key}/hypnogram"),
        }

    def questions(self) -> dict[str, Make]:
        """Return what a model is asked, by name."""
        return {
            "the last epoch of 8 h sent": lambda: self._post(self._night),
            "an hour stored": lambda: self._post(self._hour()),
        }

    @property
    def _bed(self) -> str:
        return _random.choice(self._beds)

    @property
    def _key(self) -> UUID:
        return _random.choice(self._keys)

    @property
    def _day(self) -> datetime:
        return self._begin + timedelta(days=_random.randrange(self._days))

    @property
    def _since(self) -> str:
        return f"page_size=100&since={quote(self._day.isoformat())}"

    def _hour(self) -> bytes:
        since = self._day + timedelta(hours=6)
        until = since + timedelta(hours=1)
        span = {"since": since.isoformat(), "until": until.isoformat()}
        return json.dumps({"device": self._bed, **span}).encode()

    def _get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._heads}\r\n".encode()

    def _post(self, body: bytes) -> bytes:
        about = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        head = f"POST /v1/predict HTTP/1.1\r\n{self._heads}{about}\r\n"
        return head.encode() + body

    @property
    def _heads(self) -> str:
        return f"Host: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n"
