"""``noctis ca``: the CA, the broker's certificate, and those of devices."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli.auditing import noted, record
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json
from noctis import settings
from noctis.certificate_requests import read_request
from noctis.certificates import (
    CERTIFICATE_FILE,
    DEVICE_DAYS,
    SERVER_DAYS,
    Authority,
    Certificate,
    PublicKey,
    make_key,
)
from noctis.errors import CertificateError
from noctis.identity import DeviceId
from noctis.private_files import write_private
from noctis.revocation_lists import refresh
from noctis.storage import certificates, devices
from noctis.storage.certificates import Issued
from noctis.storage.engine import Connection
from noctis.storage.errors import AlreadyExistsError

__all__ = ["app"]

app: Final = typer.Typer(
    help="The CA: certificates of the broker and of devices.", no_args_is_help=True
)

Folder = Annotated[Path | None, typer.Option("--out", help="Folder for the files.")]
Days = Annotated[int, typer.Option(min=1, max=3650, help="How long it is good for.")]
DeviceName = Annotated[str, typer.Argument(help="tenant/device")]


@app.command("init")
def init(*, out_folder: Folder = None, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Make a CA, once; whoever has its key can pass for any device.

    Next to the broker (--out, default: certificates below --var) go its certificate and a
    first, empty list of revoked ones. The key stays in NOCTIS_CA, default: ca below --var.
    """
    chosen = settings.load(var=var)
    authority = Authority.create()
    authority.save(chosen.ca_folder)
    folder = _folder(out_folder, chosen.var / "certificates")
    _publish(folder / CERTIFICATE_FILE, authority.certificate.pem)
    _publish(folder / "revoked.crl", authority.revocation_list([]))
    noted(var, "ca_made", fingerprint=authority.certificate.fingerprint)
    _show(authority.certificate, as_json=json, key=chosen.ca_folder, files=folder)


@app.command("show")
def show(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Show the CA: devices and apps that trust it can compare the fingerprint."""
    chosen = settings.load(var=var)
    _show(Authority.load(chosen.ca_folder).certificate, as_json=json, key=chosen.ca_folder)


@app.command("server")
def server(
    hosts: Annotated[list[str], typer.Argument(help="Host names and IP addresses.")],
    *,
    days: Days = SERVER_DAYS,
    out_folder: Folder = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make the broker's certificate, for all names and addresses it is reached by.

    Again: a new one, which a running `python -m broker` takes within a second or two.
    """
    chosen = settings.load(var=var)
    key, public_key = make_key()
    authority = Authority.load(chosen.ca_folder)
    issued = authority.issue_server(hosts, public_key, days=days)
    folder = _folder(out_folder, chosen.var / "certificates")
    write_private(folder / "server.key", key)
    _publish(folder / "server.crt", issued.pem)
    noted(var, "server_certified", ",".join(hosts), serial=issued.serial)
    _show(issued, as_json=json, files=folder)


@app.command("issue")
def issue(
    name: DeviceName,
    *,
    request: Annotated[
        Path | None, typer.Option(help="The device's request; else a key is made here.")
    ] = None,
    days: Days = DEVICE_DAYS,
    out_folder: Folder = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Certify a device, or renew its certificate before it ends.

    The certificate before it is good until the device has connected with the new one.
    """
    who = DeviceId.parse(name)
    authority = Authority.load(settings.load(var=var).ca_folder)
    key, public_key = _key_for(who, request)
    issued = authority.issue_device(who, public_key, days=days)
    folder = _folder(out_folder, Path())
    with opened(var) as connection:
        if devices.get(who.tenant, connection, who.device).revoked_at is not None:
            message = f"device {name!r} is revoked"
            raise AlreadyExistsError(message, hint="add it under a new name")
        certificates.record(who.tenant, connection, issued)
        if key:
            write_private(folder / f"{who.device}.key", key)
        _publish(folder / f"{who.device}.crt", issued.pem)
        _publish(folder / CERTIFICATE_FILE, authority.certificate.pem)
        record(who.tenant, connection, "device_certified", name, serial=issued.serial)
    _show(issued, as_json=json, files=folder)


@app.command("list")
def list_certificates(
    tenant: Annotated[str, typer.Argument(help="Whose devices.")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the certificates of a tenant's devices."""
    with opened(var) as connection:
        rows = [_row(it) for it in certificates.list_of(tenant, connection)]
    if json:
        print_json(rows)
        return
    table = Table(*(list(rows[0]) if rows else ["nothing yet"]))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    out.print(table)


@app.command("revoke")
def revoke(
    name: DeviceName,
    *,
    serial: Annotated[str, typer.Option(help="Of one certificate; else all of them.")] = "",
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Revoke certificates of a device; its connection ends within a second or two.

    The device stays: it may be certified anew. ``noctis device`` and the facade revoke it.
    """
    who = DeviceId.parse(name)
    with opened(var) as connection:
        if serial:
            certificates.revoke(who.tenant, connection, serial)
        else:
            certificates.revoke_all(who.tenant, connection, who.device)
        rows = [_row(it) for it in certificates.list_of(who.tenant, connection, who.device)]
        _sign(connection, settings.load(var=var).ca_folder)
        record(who.tenant, connection, "certificate_revoked", name, serial=serial or "all")
    if json:
        print_json(rows)
    else:
        good = sum(row["state"] == "good" for row in rows)
        out.print(f"{name}: {len(rows)} certificates, {good} of them good")


def _sign(connection: Connection, folder: Path) -> None:
    """Sign the list at once where the CA's key is at hand; else the companion does."""
    if Authority.is_in(folder):
        refresh(connection, Authority.load(folder))


def _key_for(who: DeviceId, request: Path | None) -> tuple[str, PublicKey]:
    """Return a new private key and its public half, or the public half that was sent."""
    return make_key() if request is None else ("", read_request(_text(request), who))


def _row(known: Issued) -> dict[str, Any]:
    ended = known.not_after < datetime.now(UTC)
    state = "revoked" if known.revoked_at else "expired" if ended else "good"
    return {
        "device": known.username,
        "serial": known.serial,
        "state": state,
        "not_after": known.not_after.isoformat(),
        "used_at": known.used_at and known.used_at.isoformat(),
        "fingerprint": known.fingerprint,
    }


def _show(
    known: Certificate, *, as_json: bool, key: Path | None = None, files: Path | None = None
) -> None:
    value = {
        "name": known.name,
        "serial": known.serial,
        "fingerprint": known.fingerprint,
        "not_after": known.not_after.isoformat(),
        **({} if key is None else {"ca": str(key)}),
        **({} if files is None else {"files": str(files)}),
    }
    if as_json:
        print_json(value)
        return
    for what, text in value.items():
        out.print(f"{what:12} {text}", markup=False, soft_wrap=True)


def _folder(asked: Path | None, default: Path) -> Path:
    folder = asked or default
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _publish(path: Path, text: str) -> None:
    """Write a file that anybody may read."""
    write_private(path, text)
    path.chmod(0o644)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, ValueError) as error:
        message = f"{path} cannot be read: {error}"
        raise CertificateError(message, hint="name the file of a request") from error
