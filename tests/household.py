"""A platform with people, beds and made-up nights in it: what somebody sees on the page."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import httpx

from cli.embedded import Platform
from cli.local import run_file
from cli.service import device_program
from noctis import passphrases
from noctis.childproc import free_port
from noctis.identity import DeviceId, parse_login
from noctis.storage import accounts, devices, recordings, tenants, users
from noctis.storage.engine import transaction
from noctis.storage.recordings import Recording
from tests.integration.broker_fixtures import eventually, password_of

__all__ = ["PASSWORD", "Household"]

PASSWORD: Final = "the owl was here before us"
NIGHT_S: Final = 120.0
FEW: Final = 6
"""The first epochs of each run have no stage."""


class Household:
    """``noctis up`` in this process, from entry to exit, and what happens in its rooms."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.platform = Platform(folder / "var", api_port=free_port())
        self.address = f"http://127.0.0.1:{self.platform.api_port}"
        self._hashed = passphrases.hash_passphrase(PASSWORD)

    def __enter__(self) -> Self:
        self.platform.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.platform.__exit__(kind, error, trace)

    def settle(self, login: str, *beds: str, role: str = "platform", zone: str = "UTC") -> None:
        """Let somebody move in: a tenant, its user, and beds."""
        name, tenant = parse_login(login)
        with transaction(self.platform.engine, seconds=30) as connection:
            tenants.add(connection, tenant)
            users.add(tenant, connection, name, role=role, password_hash=self._hashed)
            for bed in beds:
                device = str(DeviceId(tenant, bed))
                devices.add(tenant, connection, bed, time_zone=zone)
                accounts.add(tenant, connection, device, "device", password_of(device))
        self.platform.follow_accounts()

    def sleep(self, bed: str, start: datetime, hours: float, seed: int) -> None:
        """Play a made-up night as fast as it is taken, and wait until it is all stored."""
        self._play(bed, start, "--hours", str(hours), "--seed", str(seed))

    def rise(self, bed: str, start: datetime) -> None:
        """Show a bed that is empty for an hour, after which the night before has closed."""
        folder = self.folder / "empty"
        folder.mkdir(exist_ok=True)
        rows = "".join(f"{30 * epoch},W\n" for epoch in range(120))
        (folder / "stages.csv").write_text(f"t_s,stage\n{rows}")
        (folder / "heart_rate.csv").write_text("t_s,bpm\n")
        self._play(bed, start, "--night", str(folder))

    def closed(self, bed: str, count: int) -> list[Recording]:
        """Wait until a bed has so many nights, newest first, and the newest has closed."""

        def is_closed() -> bool:
            found = self.nights(bed)
            return len(found) == count and found[0].night.staged_by == "night"

        assert eventually(is_closed, within_s=NIGHT_S), self.nights(bed)
        return self.nights(bed)

    @contextmanager
    def sleeping(self, bed: str, *, speed: int, hours: float, seed: int = 1) -> Iterator[None]:
        """Let somebody sleep in a bed while the block runs."""
        told = ["--speed", str(speed), "--hours", str(hours), "--seed", str(seed)]
        process = self._device(bed, *told)
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)

    def nights(self, bed: str) -> list[Recording]:
        """Return the nights of a bed as they are stored, the newest first."""
        device = DeviceId.parse(bed)
        with transaction(self.platform.engine, seconds=30) as connection:
            return list(recordings.list_of(device.tenant, connection, device.device))

    def staged(self, bed: str, *epochs: int) -> list[Recording]:
        """Wait until a bed has nights of so many epochs, newest first, and their stages."""

        def has_all() -> bool:
            found = self.nights(bed)
            told = tuple(it.epochs for it in found)
            return told == epochs and all(it.unstaged <= FEW for it in found)

        assert eventually(has_all, within_s=NIGHT_S), self.nights(bed)
        return self.nights(bed)

    def told(self, login: str, path: str) -> httpx.Response:
        """Return what the facade answers somebody."""
        form = {"grant_type": "password", "username": login, "password": PASSWORD}
        token = httpx.post(f"{self.address}/v1/auth/token", data=form, timeout=15)
        bearer = token.raise_for_status().json()["access_token"]
        headers = {"Authorization": f"Bearer {bearer}"}
        return httpx.get(f"{self.address}{path}", headers=headers, timeout=15)

    def kill_facade(self) -> None:
        """Kill the facade; the platform starts it again by itself."""
        before = self._facade()
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: self._facade() != before, within_s=20)

    def _facade(self) -> int:
        run = json.loads(run_file(self.platform.var).read_text())
        pid: int = run["processes"]["api"]
        return pid

    def _play(self, bed: str, start: datetime, *night: str) -> None:
        told = ["--start", f"{start:%s}", "--speed", "max", "--once"]
        process = self._device(bed, *told, *night)
        try:
            assert process.wait(NIGHT_S) == 0
        finally:
            process.kill()

    def _device(self, bed: str, *arguments: str) -> subprocess.Popen[bytes]:
        device = DeviceId.parse(bed)
        stem = self.folder / f"{device.tenant}-{device.device}"
        address = ["--port", str(self.platform.broker.port)]
        names = ["--tenant", device.tenant, "--device", device.device]
        files = ["--nor", f"{stem}.nor", "--log", f"{stem}.jsonl"]
        return subprocess.Popen(
            [device_program(), *address, *names, *files, *arguments],
            env={**os.environ, "NOCTIS_DEVICE_PASSWORD": password_of(str(device))},
            stderr=subprocess.DEVNULL,
        )
