"""``noctis device claim``: give a device that is plugged in its Wi-Fi and its identity."""

import struct
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from cli.credentials import Host, Port, UpdateKeys, UsePassword, WifiName, identify, wifi_of
from cli.improv import Improv
from cli.local import DEFAULT_VAR, Var
from cli.output import Json, out, print_json, progress
from cli.serial_line import DeviceLine, LineError, opened_line
from noctis.identity import DeviceId

__all__ = ["claim"]

PART: Final = 200  # bytes of an identity in a packet
JOIN_S: Final = 25.0  # a device gives up after 20
BOOT_S: Final = 15.0
LOOK_S: Final = 1.0

Name = Annotated[str, typer.Argument(help="tenant/device; it is added if it is new.")]
Line = Annotated[Path, typer.Option("--line", help="Serial line, as in /dev/ttyUSB0.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait until it is online; 0: do not.")]


def claim(
    name: Name,
    *,
    line: Line,
    host: Host = "",
    port: Port = 0,
    wifi: WifiName = "",
    use_password: UsePassword = False,
    update_key: UpdateKeys = None,
    wait: Wait = 60.0,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Claim the device on a serial line: Wi-Fi first, then who it is; it restarts as yours.

    Its private key is made here, goes over the cable, and is kept nowhere else.
    """
    who = DeviceId.parse(name)
    network = wifi_of(wifi)
    with opened_line(line) as device:
        firmware, version, chip, before = device.ask(Improv.INFO, seconds=BOOT_S)[:4]
        progress(f"{firmware} {version} on {chip}, {before}")
        if network:
            progress(f"it joins {wifi} ...")
            device.ask(Improv.WIFI, network, seconds=JOIN_S)
        identity = identify(
            var, who, host, port, use_password=use_password, update_keys=update_key
        )
        _bring(device, identity)
        progress(f"it is {name} now, and restarts")
        state = _await_link(device, name, wait) if wait else "not waited for"
    told = {"device": name, "chip": chip, "version": version, "before": before, "link": state}
    _show(told, as_json=json)
    if wait and state != "up":
        raise typer.Exit(1)


def _bring(device: DeviceLine, identity: bytes) -> None:
    for at in range(0, len(identity), PART):
        part = struct.pack("<H", at) + identity[at : at + PART]
        device.ask(Improv.IDENTITY_PART, part)
    device.ask(Improv.IDENTITY_END)


def _await_link(device: DeviceLine, name: str, seconds: float) -> str:
    """Return how the device is connected, in its own words, once it is or time is over."""
    deadline = time.monotonic() + seconds
    state = "silent"
    while time.monotonic() < deadline:
        try:
            answer = device.ask(Improv.LINK, seconds=min(BOOT_S, seconds))
        except LineError:
            continue  # it boots
        is_restarted = answer[:1] == [name]
        state = " ".join(filter(None, answer[1:])) if is_restarted else "restarting"
        if state == "up":
            break
        time.sleep(LOOK_S)
    return state


def _show(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(told)
    elif told["link"] == "up":
        out.print(f"{told['device']} is online; its first epoch comes within half a minute")
    else:
        out.print(f"{told['device']} is claimed; its way to the platform: {told['link']}")
