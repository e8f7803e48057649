"""``noctis device claim``: one command, over a serial line, with a database behind it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from noctis.certificates import Authority
from noctis.storage import certificates, tenants
from noctis.storage.engine import Engine, transaction
from tests.boxes import NETWORK, WIFI_PASSWORD, plugged

pytestmark = pytest.mark.postgres


def test_a_device_is_claimed_by_one_command(
    tmp_path: Path, engine: Engine, database_url: str
) -> None:
    authority = Authority.create()
    authority.save(tmp_path / "ca")
    with transaction(engine) as connection:
        tenants.add(connection, "home")
    environment = {
        "NOCTIS_DATABASE_URL": database_url,
        "NOCTIS_WIFI_PASSWORD": WIFI_PASSWORD,
    }
    with plugged(tmp_path / "box") as board:
        line = str(board.cable.near)
        names = ["device", "claim", "home/bed", "--line", line, "--host", "127.0.0.1"]
        options = [
            "--wifi",
            NETWORK,
            "--wait",
            "3",
            "--port",
            "1",
            "--var",
            str(tmp_path),
            "--json",
        ]
        done = CliRunner().invoke(app, [*names, *options], env=environment)
    told = json.loads(done.stdout)
    assert done.exit_code == 1, "it waited for a platform that is not there"
    assert told["before"] == "unclaimed"
    assert told["device"] == "home/bed"
    assert told["link"].startswith("no_platform")
    kept = board.kept
    assert b"\x04Home\x0eright password" in kept
    assert b"127.0.0.1" in kept
    with transaction(engine) as connection:
        (known,) = certificates.list_of("home", connection, "bed")
    assert bytes.fromhex(known.serial.zfill(len(known.serial) + len(known.serial) % 2)) in kept
