"""``noctis firmware``: keys, images and their manifests."""

import shutil
import time
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from cli import firmware_rollouts
from cli.auditing import noted, record
from cli.local import DEFAULT_VAR, Var, opened
from cli.output import Json, out, print_json, progress
from noctis import firmware_keys, settings
from noctis.errors import ConfigurationError
from noctis.firmware import Manifest, read_image
from noctis.firmware_keys import FirmwareKey
from noctis.storage import firmware
from noctis.storage.firmware import Firmware

__all__ = ["app"]

app: Final = typer.Typer(
    help="Firmware: images, keys, rollouts to devices.", no_args_is_help=True
)
key: Final = typer.Typer(help="The keys that sign firmware.", no_args_is_help=True)
app.add_typer(key, name="key")
firmware_rollouts.register(app)

Name = Annotated[str, typer.Argument(help="A version, or how the image's SHA-256 begins.")]
DAY: Final = 86_400


@key.command("new")
def new_key(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Make a key, which signs from now on, and print what devices must be given.

    A device trusts two keys at once: give it the new one beside the old one by an update that
    the old one signs, and only then sign with the new one alone.
    """
    made = firmware_keys.make(settings.load(var=var).firmware_keys)
    noted(var, "firmware_key_made", made.id)
    _print_keys([made], as_json=json)


@key.command("list")
def list_keys(
    *,
    public: Annotated[
        bool, typer.Option("--public", help="The public keys alone, as devices read them.")
    ] = False,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the keys, the newest, which signs, last."""
    keys = firmware_keys.load_all(settings.load(var=var).firmware_keys)
    if public and not json:
        for one in keys[-2:]:
            out.print(one.public)
        return
    _print_keys(keys, as_json=json)


@app.command("add")
def add(
    file: Annotated[Path, typer.Argument(help="The image: noctis-device, firmware.bin.")],
    *,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Store an image; what it is it says itself."""
    image = read_image(file)
    folder = settings.load(var=var).firmware
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{image.sha256}.new"
    shutil.copyfile(file, fresh)
    if read_image(fresh) != image:
        fresh.unlink()
        message = f"{file} changed while it was copied"
        raise ConfigurationError(message, hint="add it once it is built")
    fresh.replace(folder / image.sha256)
    with opened(var) as connection:
        is_new = firmware.add(connection, image)
        stored = firmware.find(connection, image.sha256)
    progress("stored" if is_new else "it was stored already")
    _print_images([stored], as_json=json, one=True)


@app.command("sign")
def sign(
    name: Name,
    *,
    days: Annotated[float, typer.Option(help="Days until nobody may take it any more.")] = 365,
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="It may replace a higher build.")
    ] = False,
    floor: Annotated[
        int, typer.Option(help="Once it stands, no build below this is ever taken.")
    ] = 0,
    least: Annotated[int, typer.Option(help="The lowest build that may take it.")] = 0,
    key_file: Annotated[
        Path | None, typer.Option("--key", help="Sign with the key in this file.")
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Sign an image with the newest key, or one of your own that is kept elsewhere."""
    signer = _signer(var, key_file)
    expires = int(time.time() + days * DAY)
    with opened(var) as connection:
        stored = firmware.find(connection, name)
        manifest = Manifest(stored.image, expires, least, floor, downgrade)
        firmware.sign(connection, manifest, signer.id, signer.sign(manifest.encode()))
        signed = firmware.find(connection, stored.sha256)
        record("", connection, "firmware_signed", stored.sha256, key=signer.id)
    _print_images([signed], as_json=json, one=True)


@app.command("list")
def list_images(*, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """List the images, the newest first."""
    with opened(var) as connection:
        found = firmware.list_all(connection)
    _print_images(found, as_json=json)


def _signer(var: Path, file: Path | None) -> FirmwareKey:
    if file is not None:
        return firmware_keys.load(file)
    keys = firmware_keys.load_all(settings.load(var=var).firmware_keys)
    if not keys:
        message = "there is no key to sign with"
        raise ConfigurationError(message, hint="noctis firmware key new makes one")
    return keys[-1]


def _print_keys(keys: list[FirmwareKey], *, as_json: bool) -> None:
    rows = [{"id": one.id, "public": one.public} for one in keys]
    if as_json:
        print_json(rows)
        return
    table = Table("key", "public key")
    for row in rows:
        table.add_row(*row.values())
    out.print(table)


def _print_images(images: list[Firmware], *, as_json: bool, one: bool = False) -> None:
    if as_json:
        plain = [_plain(it) for it in images]
        print_json(plain[0] if one else plain)
        return
    table = Table("version", "build", "target", "bytes", "sha256", "signed by", "until")
    for it in images:
        until = f"{it.expires_at:%Y-%m-%d}" if it.expires_at else ""
        row = (it.version, it.build, it.target, it.size, it.sha256[:12], it.key_id or "", until)
        table.add_row(*map(str, row))
    out.print(table)


def _plain(image: Firmware) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(image).items()
        if name != "id"
    }
