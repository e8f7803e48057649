"""One night, end to end, on real parts: played, stored, predicted, counted."""

import csv
import secrets
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli.embedded import Platform
from cli.service import Service, device_program
from cli.verdict import Report, judge, key_of, read_log, stages_by_epoch
from cli.witness import Witness
from inference.model import DEFAULT_FOLDER
from noctis.errors import ConfigurationError, ProcessError, StorageUnavailableError
from noctis.identity import DeviceId, app_username
from noctis.stages import Stage
from noctis.storage import accounts, census, devices, tenants
from noctis.storage.engine import create, transaction
from registry.manifest import night_in_training, read_manifest

__all__ = ["Night", "Outcome", "play", "stages_of"]

DEVICE: Final = DeviceId("demo", "bedroom")
APP: Final = "phone"
POLL_S: Final = 0.2
CSV_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Night:
    """What to play: a folder, or a made-up night of some hours from a seed."""

    folder: Path | None = None
    seed: int = 1
    hours: float = 8.0

    @property
    def arguments(self) -> list[str]:
        """The options of ``noctis-device`` that name this night."""
        if self.folder is not None:
            return ["--night", str(self.folder.absolute())]
        return ["--seed", str(self.seed), "--hours", str(self.hours)]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report, with the stages of the night as predicted and as scored, epoch by epoch."""

    report: Report
    predicted: list[Stage | None]
    reference: list[Stage | None]


def play(
    night: Night,
    platform: Platform,
    reference: list[Stage | None],
    *,
    speed: str,
    timeout_s: float,
    tell: Callable[[str], None],
) -> Outcome:
    """Play a night through one device of a running platform and count what became of it.

    ``reference``: what ``stages_of`` says of the night. Raises ProcessError when the device
    fails or ``timeout_s`` passes before everything made is stored and predicted.
    """
    began = time.monotonic()
    passwords = _enrol(platform)
    log = platform.var / "device.jsonl"
    with _app(platform, passwords[1]) as witness:
        tell(f"playing {len(reference)} epochs")
        service = platform.add_device(
            "device", _device_arguments(platform.var, night, speed), password=passwords[0]
        )
        deadline = began + timeout_s
        _wait_for_device(service, log, len(reference), deadline, tell)
        counted = _wait_for_predictions(platform, log, deadline, tell)
        time.sleep(POLL_S)  # the last stage may still be on its way to the app
        arrivals = dict(witness.arrivals)
    entries = read_log(log)
    report = judge(
        entries,
        counted,
        arrivals,
        reference,
        in_training=_in_training(night),
        seconds=time.monotonic() - began,
    )
    return Outcome(report, stages_by_epoch(entries, counted, len(reference)), reference)


def stages_of(night: Night) -> list[Stage | None]:
    """Return the night's own stages, one an epoch, as the firmware's host build reads them.

    Raises ConfigurationError for a night that cannot be read.
    """
    arguments = [device_program(), *night.arguments, "--to", "csv"]
    try:
        result = subprocess.run(  # noqa: S603 - our own program, no shell
            arguments, capture_output=True, text=True, timeout=CSV_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"reading the night took more than {CSV_S:g} s"
        raise ProcessError(message, hint="is the folder a night?") from error
    if result.returncode != 0:
        message = result.stderr.strip() or f"noctis-device ended with {result.returncode}"
        raise ConfigurationError(message)
    rows = csv.DictReader(result.stdout.splitlines())
    return [Stage.from_aasm(row["stage"]) for row in rows]


def _in_training(night: Night) -> bool:
    """Tell whether the shipped model was trained on this night; a made-up one it never was."""
    if night.folder is None:
        return False
    return night_in_training(night.folder, read_manifest(DEFAULT_FOLDER))


def _enrol(platform: Platform) -> tuple[str, str]:
    """Add the demo's tenant, device and app; return the passwords of device and app."""
    device, app = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    with transaction(platform.engine, seconds=10) as connection:
        tenants.add(connection, DEVICE.tenant)
        devices.add(DEVICE.tenant, connection, DEVICE.device)
        accounts.add(DEVICE.tenant, connection, str(DEVICE), "device", device)
        accounts.add(DEVICE.tenant, connection, app_username(APP, DEVICE.tenant), "app", app)
    platform.follow_accounts()
    return device, app


def _app(platform: Platform, password: str) -> Witness:
    host, port = platform.broker_address
    return Witness(host, port, app=APP, tenant=DEVICE.tenant, password=password)


def _device_arguments(var: Path, night: Night, speed: str) -> list[str]:
    names = ["--tenant", DEVICE.tenant, "--device", DEVICE.device]
    files = ["--nor", str(var / "device.nor"), "--log", str(var / "device.jsonl")]
    return [*names, *files, *night.arguments, "--speed", speed, "--once"]


def _wait_for_device(
    service: Service,
    log: Path,
    epochs: int,
    deadline: float,
    tell: Callable[[str], None],
) -> None:
    told = 0
    while not service.done:
        if time.monotonic() > deadline:
            message = "the device did not get the whole night acknowledged in time"
            raise ProcessError(message, hint=f"its log ends: {service.tail()}")
        made = len(read_log(log))
        if made >= told + max(epochs // 10, 1):
            told = made
            tell(f"{made} of {epochs} epochs made")
        time.sleep(POLL_S)


def _wait_for_predictions(
    platform: Platform, log: Path, deadline: float, tell: Callable[[str], None]
) -> census.Census:
    """Wait until every epoch made is stored and predicted; return the last count anyway."""
    made = {key_of(entry) for entry in read_log(log)}
    tell(f"{len(made)} epochs made; waiting for their predictions")
    while True:
        counted = _count(platform)
        settled = {(stream, seq) for stream, seq, _ in counted.stages}
        if made <= settled or time.monotonic() > deadline:
            return counted
        time.sleep(POLL_S)


def _count(platform: Platform) -> census.Census:
    """Count on a fresh connection of our own."""
    engine = create(platform.postgres.url, application="noctis-demo")
    try:
        with transaction(engine, seconds=30) as connection:
            return census.count(DEVICE.tenant, connection, DEVICE.device)
    except StorageUnavailableError:
        return census.Census([], [])
    finally:
        engine.dispose()
