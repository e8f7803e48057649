"""A platform, four devices that boot from slots, and the operator's command line.

Every device is a noctis-boot and what it runs, comes by its certificate over TLS, and loses its
power when both are killed.
"""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from typer.testing import CliRunner

from cli.firmware import app
from cli.service import device_program
from noctis import firmware_keys
from noctis.identity import DeviceId
from noctis.status import Status
from noctis.storage import reports, rollouts
from noctis.storage.engine import transaction
from noctis.storage.rollouts import DeviceState
from tests.integration.broker_fixtures import eventually
from tests.rig import Rig
from tests.truth import differences, read_logs

TENANT: Final = "home"
BEDS: Final = ("bed-1", "bed-2", "bed-3", "bed-4")
BOOT: Final = Path(device_program()).with_name("noctis-boot")
SPEED: Final = "60"
TRIAL_S: Final = "60"
ENDS_WITHIN_S: Final = 90.0
ENDS: Final = {"valid", "rolled_back", "refused"}


class Street:
    """A platform, four devices, and the operator's command line."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.var = rig.folder / "var"
        self.folder = rig.folder / TENANT
        self.folder.mkdir()
        self.boards: dict[str, subprocess.Popen[bytes]] = {}
        self.key = firmware_keys.make(self.var / "firmware-keys")
        (self.folder / "keys").write_text(f"{self.key.public}\n")
        assert rig.secured is not None
        self.secured = rig.secured
        names = [DeviceId(TENANT, bed) for bed in BEDS]
        rig.enrol(*names)
        for name in names:
            self.secured.certify(name)
            self.switch_on(name.device)

    def switch_on(self, bed: str) -> None:
        own = self.folder / bed
        arguments = [
            *("--tenant", TENANT, "--device", bed),
            *self.secured.arguments(DeviceId(TENANT, bed)),
            *("--nor", f"{own}.nor", "--log", str(self.folder / f"log-{bed}")),
            *("--update-keys", str(self.folder / "keys"), "--trial", TRIAL_S),
            *("--speed", SPEED, "--hours", "40", "--seed", str(BEDS.index(bed))),
        ]
        with Path(f"{own}.told").open("a") as told:
            self.boards[bed] = subprocess.Popen(
                [BOOT, "--slots", str(own), "--image", device_program(), "--", *arguments],
                stderr=told,
            )

    def cut_power(self, bed: str) -> None:
        self.boards[bed].kill()
        self.boards[bed].wait(10)

    def images(self, bed: str) -> list[int]:
        """Return the process that a boot loader runs just now, if there is one (Linux)."""
        pid = self.boards[bed].pid
        return [int(it) for it in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def crash(self, bed: str) -> bool:
        """End what a board runs, and not its boot loader; False where nothing runs just now."""
        running = self.images(bed)
        for image in running:
            os.kill(image, signal.SIGKILL)
        return bool(running)

    def noctis(self, *arguments: str, fails: bool = False) -> Any:  # noqa: ANN401 - any JSON value
        done = CliRunner().invoke(app, [*arguments, "--json"])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert (done.exit_code != 0) == fails, done.output
        return json.loads(done.stdout.splitlines()[-1])  # before it: what is logged

    def release(self, image: Path, *options: str) -> str:
        sha256: str = self.noctis("add", str(image))["sha256"]
        self.noctis("sign", sha256, *options)
        return sha256

    def roll_out(self, sha256: str, *options: str, fails: bool = False) -> dict[str, Any]:
        whom = () if "--devices" in options else ("--tenant", TENANT)
        watch = ("--wait", str(ENDS_WITHIN_S))
        found: dict[str, Any] = self.noctis(
            "rollout", sha256, *whom, *watch, *options, fails=fails
        )
        return found

    def status(self, bed: str) -> Status | None:
        with transaction(self.rig.engine, 10) as connection:
            found = reports.last(TENANT, connection, bed)
        return found[0] if found else None

    def runs(self, bed: str) -> str:
        status = self.status(bed)
        return status.firmware.removeprefix("noctis-device ") if status else ""

    def states(self, number: int) -> dict[str, DeviceState]:
        """Return how far a rollout is, by bed."""
        with transaction(self.rig.engine, 10) as connection:
            return {it.device.device: it for it in rollouts.devices_of(connection, number)}

    def ended(self, number: int) -> bool:
        """Tell whether every device of a rollout has said how it ended."""
        return all(it.state in ENDS for it in self.states(number).values())

    def all_run(self, version: str) -> bool:
        return all(self.runs(bed) == version for bed in BEDS)

    def check_nights(self) -> None:
        """Everything that was made by now is stored, once and as it was made."""
        made = read_logs(self.folder)
        keys = {epoch.key for epoch in made}

        def stored() -> dict[str, Any]:
            kept = [it for it in self.rig.stored(TENANT) if it.key in keys]
            return differences(made, kept)

        assert len({epoch.stream for epoch in made}) == len(BEDS)
        assert eventually(lambda: not stored(), within_s=30), stored()

    def told(self) -> str:
        return "\n".join(it.read_text()[-1500:] for it in self.folder.glob("*.told"))
