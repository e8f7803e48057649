"""An app that reads over REST while the platform is hurt, and writes down every answer."""

import json
import random
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import httpx

from tests.integration.broker_fixtures import password_of

__all__ = ["Answer", "Reader", "answers"]

PAUSE_S: Final = 0.25
ANSWER_S: Final = 10.0
EVER: Final = "since=2000-01-01T00:00:00Z&until=2200-01-01T00:00:00Z&page_size=1000"
UNAUTHORISED: Final = 401


@dataclass(frozen=True, slots=True)
class Answer:
    """What the facade told an app of ``tenant``: of a ``device``'s epochs or predictions.

    ``whole``: all that there is of them. ``keys``: (stream, seq) of each, in order.
    """

    tenant: str
    device: str
    what: str
    status: int
    whole: bool
    keys: Sequence[tuple[int, int]]


class Reader:
    """Asks for all epochs and predictions of one device after another, from entry to exit.

    Who gets no answer asks on: the facade may be away, but must never say what is wrong.
    """

    def __init__(
        self, port: int, app: str, tenants: Sequence[str], devices: Sequence[str], file: Path
    ) -> None:
        self._app, self._tenants, self._devices = app, tenants, devices
        self._file = file.open("w", encoding="utf-8")
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_S)
        self._tokens: dict[str, str] = {}
        self._random = random.Random(1)  # noqa: S311 - whom is asked for
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(6 * ANSWER_S)
        self._client.close()
        self._file.close()

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_S):
            try:
                answer = self._ask(self._random.choice(self._tenants))
            except httpx.TransportError:  # killed, frozen, or slow
                continue
            self._file.write(json.dumps(asdict(answer)) + "\n")
            self._file.flush()

    def _ask(self, tenant: str) -> Answer:
        device = self._random.choice(self._devices)
        what = self._random.choice(("epochs", "predictions"))
        if tenant not in self._tokens:
            login = f"{self._app}@{tenant}"
            said = self._client.post(
                "/v1/auth/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": login,
                    "client_secret": password_of(login),
                },
            )
            if said.is_error:
                return Answer(tenant, device, "token", said.status_code, whole=False, keys=())
            self._tokens[tenant] = said.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[tenant]}"}
        said = self._client.get(f"/v1/devices/{device}/{what}?{EVER}", headers=headers)
        if said.status_code == UNAUTHORISED:  # by the facade's clock, which may be wrong now
            del self._tokens[tenant]
        found: dict[str, Any] = said.json() if said.is_success else {}
        keys = [(int(it["stream"], 16), it["seq"]) for it in found.get(what, ())]
        whole = said.is_success and found["next_page_token"] is None
        return Answer(tenant, device, what, said.status_code, whole, keys)


def answers(file: Path) -> list[Answer]:
    """Return what the facade answered, in order."""
    with file.open(encoding="utf-8") as lines:
        found = [json.loads(line) for line in lines]
    return [Answer(**{**it, "keys": [(key[0], key[1]) for key in it["keys"]]}) for it in found]
