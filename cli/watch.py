"""``noctis watch``: a device's stages, heart rate and breathing as they come."""

import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.completion import DeviceName
from cli.hypnogram import draw
from cli.local import DEFAULT_VAR, Var
from cli.nouns.documents import Document
from cli.nouns.platform import Platform, platform
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from cli.watched import BACK, Watched, forgiving
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.stages import LABELS, Stage

__all__ = ["watch"]

LOOK_S: Final = 1.0
SOON_S: Final = 0.2
PATIENCE_S: Final = 0.5
"""A line waits so long for what was measured of its epoch; a screen shows the stage at once."""
_STYLES: Final = {"wake": "#E69F00", "rem": "#AA3377", "light": "#4477AA", "deep": "#5B7DB1"}


def watch(
    device: DeviceName,
    *,
    seconds: Annotated[
        float, typer.Option("--for", min=0, help="Stop after so many seconds; 0: at Ctrl-C.")
    ] = 0.0,
    lines: Annotated[
        bool, typer.Option("--jsonl", help="Print a JSON object on a line for each epoch.")
    ] = False,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Watch a device's stage, heart rate and breathing as they come, until Ctrl-C.

    In a terminal with the last eight hours; into a pipe a line for each epoch, with --jsonl in
    JSON. With --json what is known now, at once. A stage is shown the moment it is told.
    """
    who = DeviceId.parse(device)
    deadline = time.monotonic() + seconds if seconds else float("inf")
    with platform(profile, var) as it:
        seen = Watched(it.nights, who)
        seen.look()
        if json:
            if not seen.epochs:
                message = f"{device} has sent nothing for {BACK.total_seconds() / 3600:g} h"
                raise ConfigurationError(message, hint=f"noctis device show {device}")
            print_json({"device": device, **seen.epochs[-1]})
        elif out.is_terminal and not lines:
            _draw(device, _growing(it, seen, deadline, patience_s=0.0))
        else:
            _print(device, _growing(it, seen, deadline, patience_s=PATIENCE_S), as_json=lines)


def _growing(
    it: Platform, seen: Watched, deadline: float, *, patience_s: float
) -> Iterator[Watched]:
    """Yield what is seen: at first, and again each time that there is more.

    While the stream of stages is away, what is stored is looked at, each second.
    """
    if not seen.epochs:
        progress(f"waiting for {seen.who}")
    yield seen
    with it.live(seen.who) as live:
        told = False
        while time.monotonic() < deadline:
            pause = SOON_S if seen.waits else LOOK_S
            stages = live.take(within_s=min(pause, deadline - time.monotonic()))
            with forgiving():
                more = seen.hear(stages)
                if not live.heard and not stages:
                    more = seen.look()
                    told = told or _tell(live.trouble)
                more = _measured(seen, patience_s if more else 0.0) or more
            if more:
                yield seen


def _tell(trouble: str) -> bool:
    progress(f"stages are shown once they are stored: {trouble}")
    return True


def _measured(seen: Watched, patience_s: float) -> bool:
    """Wait so long for what was measured of stages that were told; tell whether any came."""
    deadline = time.monotonic() + patience_s
    more = seen.measure()
    while seen.waits and time.monotonic() < deadline:
        time.sleep(0.05)
        more = seen.measure() or more
    return more


def _print(device: str, growing: Iterator[Watched], *, as_json: bool) -> None:
    for seen in growing:
        for epoch in seen.take():
            if as_json:
                print_json({"device": device, **epoch})
                sys.stdout.flush()
            else:
                out.print(_line(epoch).plain, soft_wrap=True, markup=False)


def _draw(device: str, growing: Iterator[Watched]) -> None:
    with Live(console=out, auto_refresh=False) as live:
        for seen in growing:
            live.update(_screen(device, seen), refresh=True)


def _screen(device: str, seen: Watched) -> RenderableType:
    stages = [
        None if it["stage"] is None else Stage(LABELS.index(it["stage"])) for it in seen.epochs
    ]
    now = _line(seen.now) if seen.now else Text("nothing yet", style="dim")
    lanes = draw(stages, width=min(out.width, 100)) if stages else Text("")
    return Group(Text(device, style="bold"), now, lanes)


def _line(epoch: Document) -> Text:
    """Return what an epoch was, in one line; without a time where the device has none."""
    at = epoch["t"] and datetime.fromisoformat(epoch["t"]).astimezone()
    stage = epoch["stage"] or ("out of bed" if epoch["in_bed"] is False else "no stage")
    text = Text(f"{at:%H:%M:%S}  " if at else "--:--:--  ")
    text.append(f"{stage:<10}", style=_STYLES.get(stage, "dim"))
    for name, unit in (("heart_rate", "bpm"), ("breathing", "br/min")):
        value = epoch[name]
        text.append(f"  {'-' if value is None else f'{value:.0f}'} {unit}")
    return text
