"""``noctis ca`` as an operator uses it, without a running platform."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.ca import app
from noctis.certificates import make_key, make_request, read_certificate
from noctis.errors import CertificateError, NoctisError
from noctis.identity import DeviceId
from noctis.revocation_lists import listed
from noctis.storage import accounts, devices, revocations, tenants
from noctis.storage.engine import create, transaction
from noctis.storage.errors import NotFoundError

pytestmark = pytest.mark.postgres


@dataclass(frozen=True)
class Operator:
    folder: Path
    url: str

    def __call__(self, *arguments: str) -> Any:  # noqa: ANN401 - any JSON value
        """Run a command; return what it prints, or raise what it complains of."""
        settings = {"NOCTIS_DATABASE_URL": self.url, "NOCTIS_VAR": str(self.folder)}
        result = CliRunner().invoke(app, [*arguments, "--json"], env=settings)
        if isinstance(result.exception, NoctisError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout.splitlines()[-1])


@pytest.fixture
def noctis(database_url: str, tmp_path: Path) -> Iterator[Operator]:
    made = Operator(tmp_path, database_url)
    with pytest.raises(CertificateError, match="no CA"):
        made("show")
    made("init")
    yield made
    with pytest.raises(CertificateError, match="already"):
        made("init")


def add_device(url: str) -> None:
    engine = create(url, application="noctis-test")
    with transaction(engine) as connection:
        tenants.add(connection, "home")
        devices.add("home", connection, "bed")
        accounts.add("home", connection, "home/bed", "device")
    engine.dispose()


def test_a_servers_files_are_made_again_and_again(noctis: Operator) -> None:
    serials = set()
    for _ in range(2):
        served = noctis("server", "192.168.1.5", "broker")
        folder = Path(served["files"])
        assert read_certificate((folder / "server.crt").read_text()).serial == served["serial"]
        assert (folder / "server.key").stat().st_mode & 0o777 == 0o600
        assert (folder / "server.crt").stat().st_mode & 0o777 == 0o644
        serials.add(served["serial"])
    assert len(serials) == 2
    assert listed((folder / "revoked.crl").read_text()) == set()
    assert noctis("show")["name"] == "Noctis development CA"


def test_a_device_is_certified_by_its_request_and_a_wrong_one_is_refused(
    noctis: Operator, tmp_path: Path
) -> None:
    add_device(noctis.url)
    request, key = tmp_path / "bed.csr", make_key()[0]
    request.write_text(make_request(DeviceId("home", "bed"), key))
    noctis("issue", "home/bed", "--request", str(request), "--out", str(tmp_path / "own"))
    assert sorted(it.name for it in (tmp_path / "own").iterdir()) == ["bed.crt", "ca.crt"]
    request.write_text(make_request(DeviceId("home", "other"), key))
    with pytest.raises(CertificateError, match="home/other"):
        noctis("issue", "home/bed", "--request", str(request))
    with pytest.raises(NotFoundError, match="no device"):
        noctis("issue", "home/cot")


def test_one_certificate_of_two_is_revoked_and_the_list_is_signed_at_once(
    noctis: Operator, tmp_path: Path
) -> None:
    add_device(noctis.url)
    first, second = [
        noctis("issue", "home/bed", "--out", str(tmp_path / "bed"))["serial"] for _ in range(2)
    ]
    assert {row["state"] for row in noctis("list", "home")} == {"good"}
    noctis("revoke", "home/bed", "--serial", first)
    known = {row["serial"]: row["state"] for row in noctis("list", "home")}
    assert known == {first: "revoked", second: "good"}
    engine = create(noctis.url, application="noctis-test")
    with transaction(engine) as connection:
        assert listed(revocations.current(connection).pem) == {first}
    engine.dispose()
    with pytest.raises(NotFoundError, match="no certificate"):
        noctis("revoke", "home/bed", "--serial", "ff")
