"""How each peer is set up, below build/bench, from versions and hashes that are pinned here."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.native import BUILT
from bench.stage import PASSWORD, PEER, Stage
from noctis import topics
from noctis.childproc import free_port
from noctis.errors import NoctisError

__all__ = ["KEYLESS", "PEERS", "Peer", "UnavailableError"]

HERE: Final = Path(__file__).parent
TOPIC: Final = f"{topics.ROOT}/up/#"
INSTALL_S: Final = 300


class UnavailableError(NoctisError):
    """A peer that cannot be set up on this machine."""


@dataclass(frozen=True, slots=True)
class Peer:
    """How to run a peer."""

    command: Sequence[str]
    environment: Mapping[str, str]
    keyed: bool = True


def _paho(stage: Stage) -> Peer:
    script = str(HERE / "paho_executemany.py")
    return Peer([sys.executable, script, *_arguments(stage)], dict(os.environ))


def _mq_bridge(stage: Stage, *, keyed: bool = True) -> Peer:
    folder = BUILT / "mq-bridge"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        lock = str(HERE / "mq_bridge.lock")
        _run(
            [str(python), "-m", "pip", "install", "-q", "--require-hashes", "-r", lock], folder
        )
        (folder / "installed").touch()
    script = str(HERE / "mq_bridge_route.py")
    insert = "INSERT INTO peer_frames (payload) VALUES ($1) ON CONFLICT DO NOTHING"
    command = [str(python), script, *_arguments(stage), *[insert][:keyed]]
    return Peer(command, dict(os.environ), keyed)


def _node_red(stage: Stage) -> Peer:
    npm = shutil.which("npm")
    if npm is None:
        message = "there is no npm"
        raise UnavailableError(message)
    folder = BUILT / "node-red"
    shutil.copytree(HERE / "node_red", folder, dirs_exist_ok=True)
    if not (folder / "installed").exists():
        _run([npm, "ci", "--no-progress"], folder)
        (folder / "installed").touch()
    credentials = f'{{"broker": {{"user": "{PEER}", "password": "{PASSWORD}"}}}}'
    (folder / "flow_cred.json").write_text(credentials)
    programs = folder / "node_modules" / ".bin"
    environment = {
        **os.environ,
        "PEER_PORT": str(free_port()),
        "PEER_BROKER_PORT": str(stage.broker.port),
        "PEER_USER": PEER,
        "PEER_DATABASE": stage.postgres.url,
        "PEER_TOPIC": TOPIC,
    }
    node, red = str(programs / "node"), str(folder / "node_modules" / "node-red" / "red.js")
    command = [node, red, "--userDir", str(folder), "--settings", str(folder / "settings.js")]
    return Peer(command, environment)


PEERS: Final[Mapping[str, Callable[[Stage], Peer]]] = {
    "mq_bridge": _mq_bridge,
    "node_red": _node_red,
    "paho_executemany": _paho,
    "mq_bridge_keyless": lambda stage: _mq_bridge(stage, keyed=False),
}
KEYLESS: Final = ("mq_bridge_keyless",)
"""Those that store what is delivered twice twice: measured to tell what the key costs."""


def _arguments(stage: Stage) -> list[str]:
    return [str(stage.broker.port), PEER, PASSWORD, stage.postgres.url, TOPIC]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - our own
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=INSTALL_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(str(error)) from error
    if done.returncode:
        message = f"{command[-1]} failed: {done.stderr.strip()[-300:]}"
        raise UnavailableError(message)
