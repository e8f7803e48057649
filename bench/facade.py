"""The facade's read routes beside a bare FastAPI route, and predictions beside a reload.

One process each of ``python -m api`` and of ``bench.bare``, a PostgreSQL of the bench's own;
``--gunicorn 2``: the facade as the compose file starts it, with so many workers.
Each route has its turn flat out, over a few kept connections, and then at half of that rate,
open loop: its percentiles count from the moment when a request was to be sent. Routes take
turns round by round. The default is small; ``--devices 100 --days 30 --questions 300`` is what
to quote.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any, Final

import uvloop

from api.scopes import SCOPES
from api.tokens import Keyring
from bench.facade_data import DAY, TENANT, fill, names
from bench.facade_requests import Asking
from bench.http_load import Figures, Make, closed, opened
from bench.reload import VERSIONS, publish
from inference.model import DEFAULT_FOLDER
from noctis.childproc import Child, free_port
from noctis.identity import Principal
from noctis.storage import migrate
from noctis.storage.server import PostgresServer
from noctis.telemetry import configure_logging
from registry.store import Registry

__all__ = ["main", "measure"]

CONNECTIONS: Final = 8
SHARE: Final = 0.5
EVERY_S: Final = 2.0
FLAT_S: Final = 5.0
BARE: Final = "bare FastAPI"


def measure(
    *, devices: int, days: int, seconds: float, rounds: int, questions: int, workers: int
) -> dict[str, Any]:
    """Return the figures of each route, of the bare one, and of so many predictions a stretch.

    ``workers``: of gunicorn; 0: uvicorn alone.
    """
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with PostgresServer(folder / "postgres") as postgres:
            migrate.upgrade(postgres.url)
            _say(f"{devices * days * DAY} epochs are made")
            begin, keys = fill(postgres.url, count=devices, days=days)
            with _serving(postgres.url, folder / "var", workers) as (bare, facade):
                token = Keyring(folder / "var" / "keys").issue(
                    Principal("bench", TENANT, frozenset(SCOPES))
                )
                asking = Asking(token, names(devices), begin, days, keys)
                reads = uvloop.run(_reads(bare, facade, asking, seconds, rounds))
                registry = publish(folder / "var" / "models", DEFAULT_FOLDER)
                predicted = uvloop.run(_predictions(facade, asking, registry, questions))
    sizes = {"devices": devices, "days": days, "workers": workers}
    return {**sizes, "routes": reads, "predict": predicted}


async def _reads(
    bare: int, facade: int, asking: Asking, seconds: float, rounds: int
) -> dict[str, list[dict[str, Any]]]:
    """Return for each route the figures of each round, flat out and at a share of that."""
    ways = {BARE: (bare, _plain)} | {
        name: (facade, make) for name, make in asking.routes().items()
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name, (port, make) in ways.items() if turn % 2 == 0 else [*ways.items()][::-1]:
            _say(f"round {turn + 1}: {name}")
            found[name].append(await _both(port, make, seconds))
    return found


def _plain() -> bytes:
    return b"GET /bed HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


async def _both(port: int, make: Make, seconds: float) -> dict[str, Any]:
    flat = await closed(port, make, connections=CONNECTIONS, seconds=seconds)
    rate = max(1.0, SHARE * flat.per_second)
    paced = await opened(
        port, make, rate=rate, connections=4 * CONNECTIONS, seconds=max(seconds, 20 / rate)
    )
    return {"flat_out": asdict(flat), "paced": asdict(paced)}


async def _predictions(
    facade: int, asking: Asking, registry: Registry, count_of_each: int
) -> dict[str, dict[str, Any]]:
    """Return the figures of predictions, while the champion stays and while it changes."""
    found: dict[str, dict[str, Any]] = {}
    switches = count()
    for name, make in asking.questions().items():
        _say(f"predict: {name}")
        flat = await closed(facade, make, connections=2, seconds=FLAT_S)
        rate = max(0.5, SHARE * flat.per_second)

        async def paced(make: Make = make, rate: float = rate) -> Figures:
            return await opened(
                facade, make, rate=rate, connections=16, seconds=count_of_each / rate
            )

        calm = await paced()
        async with asyncio.TaskGroup() as group:
            changing = group.create_task(_change(registry, switches))
            reloading = await paced()
            changing.cancel()
        rows = {"flat_out": flat, "calm": calm, "reloading": reloading}
        found[name] = {key: asdict(row) for key, row in rows.items()}
    found["reloads"] = {"count": next(switches), "every_s": EVERY_S}
    return found


async def _change(registry: Registry, switches: Iterator[int]) -> None:
    while True:
        version = VERSIONS[next(switches) % 2]
        await asyncio.to_thread(registry.promote, "champion", version)
        await asyncio.sleep(EVERY_S)


@contextmanager
def _serving(url: str, var: Path, workers: int) -> Iterator[tuple[int, int]]:
    """Serve the bare route and the facade; their ports."""
    bare, facade = free_port(), free_port()
    environment = {
        **os.environ,
        "NOCTIS_VAR": str(var),
        "NOCTIS_DATABASE_URL": url,
        "NOCTIS_BROKER_PORT": str(free_port()),
        "NOCTIS_API_PORT": str(facade),
        "NOCTIS_API_REQUESTS_PER_SECOND": "0",
        "NOCTIS_API_WORKERS": str(max(1, workers)),
        "NOCTIS_LOG_LEVEL": "warning",
    }
    gunicorn = (
        *("gunicorn", f"--bind=127.0.0.1:{facade}", f"--workers={workers}"),
        *(
            f"--chdir={Path.cwd()}",
            "--config=python:api.gunicorn",
            "--worker-class=api.worker.FacadeWorker",
        ),
        "api.app:create_app()",
    )
    commands = {
        bare: ("bench.bare", str(bare)),
        facade: gunicorn if workers else ("api",),
    }
    children = [
        Child(
            (sys.executable, "-m", *command),
            log=var.parent / f"{command[0]}.log",
            environment=environment,
        )
        for command in commands.values()
    ]
    try:
        for port, path in ((bare, "/bed"), (facade, "/healthz")):
            _wait(port, path)
        yield bare, facade
    finally:
        for child in children:
            child.stop(within_s=20)


def _wait(port: int, path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _table(result: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'':<30}{'req/s':>9}{'of bare':>9}{'p50':>9}{'p99':>9}  ms at half of that"
    routes = result["routes"]
    bare = [each["flat_out"]["per_second"] for each in routes[BARE]]
    for name, rounds in routes.items():
        rates = [each["flat_out"]["per_second"] for each in rounds]
        shares = sorted(rate / other for rate, other in zip(rates, bare, strict=True))
        paced = [each["paced"] for each in rounds]
        p50, p99 = (_median([each[key] for each in paced]) for key in ("p50", "p99"))
        yield f"{name:<30}{_median(rates):>9}{_median(shares):>9.2f}{p50:>9}{p99:>9}"
    for name, rows in result["predict"].items():
        for kind in ("calm", "reloading"):
            if kind in rows:
                row = rows[kind]
                told = f"p95 {row['p95']} p99 {row['p99']} ms of {row['count']}"
                yield f"{name:<30}{kind:>12} {told}"


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def _say(what: str) -> None:
    print(what, file=sys.stderr)


def main() -> None:
    """Measure and print a table, or one JSON value; exit 1 where an answer was no 200."""
    parser = argparse.ArgumentParser(prog="python -m bench.facade", description=__doc__)
    parser.add_argument("--devices", type=int, default=10)
    parser.add_argument("--days", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each stretch")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--questions", type=int, default=50, help="in a stretch of predictions")
    parser.add_argument("--gunicorn", type=int, default=0, metavar="N", help="so many workers")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    configure_logging("bench", level="warning")
    result = measure(
        devices=asked.devices,
        days=asked.days,
        seconds=asked.seconds,
        rounds=asked.rounds,
        questions=asked.questions,
        workers=asked.gunicorn,
    )
    print(json.dumps(result) if asked.json else "\n".join(_table(result)))
    sys.exit(0 if _is_clean(result) else 1)


def _is_clean(result: object) -> bool:
    """Tell whether every status that was counted is 200."""
    if isinstance(result, dict):
        if "statuses" in result:
            return set(result["statuses"]) <= {"200"}
        return all(map(_is_clean, result.values()))
    return not isinstance(result, list) or all(map(_is_clean, result))


if __name__ == "__main__":
    main()
