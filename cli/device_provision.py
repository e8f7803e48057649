"""``noctis device provision``: what makes a board this device: an image of NVS, or a text."""

import base64
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.credentials import Host, Port, UpdateKeys, UsePassword, WifiName, identify, wifi_of
from cli.local import DEFAULT_VAR, Var
from cli.nvs_image import SIZE, nvs_image
from cli.output import Json, out, print_json, progress
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.private_files import write_private

__all__ = ["OFFSET", "provision"]

OFFSET: Final = 0x3D0000
"""Where the partition ``identity`` lies, whatever the module: firmware/partitions/*.csv."""

Name = Annotated[str, typer.Argument(help="tenant/device; it is added if it is new.")]
Image = Annotated[
    Path | None, typer.Option("--out", help="The image's file; it holds the key.")
]
Portal = Annotated[
    bool,
    typer.Option(
        "--portal", help="Print the claim as a text for the device's own page instead."
    ),
]


def provision(
    name: Name,
    *,
    image: Image = None,
    portal: Portal = False,
    host: Host = "",
    port: Port = 0,
    wifi: WifiName = "",
    use_password: UsePassword = False,
    update_key: UpdateKeys = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Make the image that a board is flashed with to be this device, or the claim for its page.

    Its private key is in that and nowhere else: erase the file, or the text, once it is used.
    """
    who = DeviceId.parse(name)
    if portal == (image is not None):
        message = "it is not said what to make" if image is None else "it takes one of the two"
        raise ConfigurationError(message, hint="name --out FILE, or --portal")
    network = wifi_of(wifi) if image else b""
    identity = identify(var, who, host, port, use_password=use_password, update_keys=update_key)
    if image:
        _write(image, name, identity, network, as_json=json)
    else:
        _print_claim(name, identity, as_json=json)


def _print_claim(name: str, identity: bytes, *, as_json: bool) -> None:
    claim = base64.urlsafe_b64encode(identity).rstrip(b"=").decode("ascii")
    if as_json:
        print_json({"device": name, "claim": claim})
        return
    progress(f"{name}: join the device's own Wi-Fi, open http://192.168.4.1 and paste this:")
    out.print(claim, markup=False, highlight=False, soft_wrap=True)


def _write(image: Path, name: str, identity: bytes, network: bytes, *, as_json: bool) -> None:
    values = {"identity": identity, "wifi": network}
    write_private(image, nvs_image({key: it for key, it in values.items() if it}))
    command = f"esptool --baud 921600 write-flash {OFFSET:#x} {image}"
    if as_json:
        told = {"device": name, "image": str(image), "offset": OFFSET, "size": SIZE}
        print_json({**told, "command": command})
    else:
        out.print(
            f"{name}: flash the image with\n  {command}\nand erase the file", soft_wrap=True
        )
