"""``noctis replay``: stored epochs through another version, unseen; what it would have said."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from cli.facade import Facade
from cli.local import DEFAULT_VAR, Var, connected, database_url, opened
from cli.model_evaluate import folder_of
from cli.nouns.documents import Document, plain
from cli.nouns.tenancy import own_tenant
from cli.ordered import asked_facade, order
from cli.output import Json, out, print_json, progress
from cli.profiles import ProfileOption
from cli.replay_view import as_json, compared, table, tell
from evaluation import replayed
from inference import replay as runner
from inference.model import Model
from inference.replay import Done, Order
from inference.versions import folder_of as folder_of_known
from noctis.errors import ConfigurationError
from noctis.identity import DeviceId
from noctis.settings import Settings
from noctis.storage import predictions, replays
from noctis.storage.engine import transaction
from noctis.storage.replays import Replay
from registry.store import DEFAULT_NAME, Registry

__all__ = ["app"]

app: Final = typer.Typer(
    help="Stored epochs through another version, unseen.", no_args_is_help=True
)

PLAN_S: Final = 600.0
TOLD_EVERY_S: Final = 2.0
SERVED: Final = "served"

Number = Annotated[int, typer.Argument(help="of the replay, as replay list shows it")]
Jobs = Annotated[int, typer.Option(help="Processes to use.", min=1)]


@app.command()
def start(
    *,
    version: Annotated[str, typer.Option(help="A version, an alias, or 'shipped'.")],
    since: Annotated[datetime, typer.Option(help="Epochs that start then or later, UTC.")],
    until: Annotated[datetime, typer.Option(help="Epochs that start earlier, UTC.")],
    tenant: Annotated[str | None, typer.Option(help="Of this tenant alone.")] = None,
    device: Annotated[str | None, typer.Option(help="Of tenant/device alone.")] = None,
    jobs: Jobs = 1,
    name: Annotated[str, typer.Option(help="Which model.")] = DEFAULT_NAME,
    profile: ProfileOption = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Run stored epochs through a version; what it says is kept under it, and shown to nobody.

    A replay that is cut off goes on with 'noctis replay resume'. Over a facade it is one of the
    caller's tenant, an operation that the platform does: see 'noctis operation'.
    """
    span = {"since": since.replace(tzinfo=UTC), "until": until.replace(tzinfo=UTC)}
    if span["since"] >= span["until"]:
        message = f"nothing lies between {since} and {until}"
        raise ConfigurationError(message, hint="--since is the earlier one")
    owner, bed = _scope(tenant, device)
    with asked_facade(profile) as facade:
        if facade:
            wanted = {"model": name, "version": version, "device": bed}
            _ordered(facade, owner, wanted | span, json=json)
            return
    folder = folder_of(Registry(Settings(var=var).models, name), version)
    manifest = Model.load(folder).manifest
    with opened(var, seconds=PLAN_S) as connection:
        key = predictions.model_id(connection, manifest.name, manifest.version)
        number = replays.add(owner, connection, bed, key, **span)
    progress(f"replay {number}; should it be cut off: noctis replay resume {number}")
    _run(number, folder, jobs, var, json=json)


@app.command()
def resume(
    number: Number, *, jobs: Jobs = 1, var: Var = DEFAULT_VAR, json: Json = False
) -> None:
    """Go on with a replay that was cut off or cancelled; nothing is done twice."""
    with opened(var) as connection:
        found = replays.get(connection, number)
    folder = folder_of_known(Settings(var=var).models, found.name, found.version)
    _run(number, folder, jobs, var, json=json)


@app.command()
def cancel(number: Number, *, var: Var = DEFAULT_VAR, json: Json = False) -> None:
    """Let a replay end after the parts under way; what it stored stays."""
    with opened(var) as connection:
        tell(replays.cancel(connection, number), json=json)


@app.command("list")
def list_replays(
    *,
    limit: Annotated[int, typer.Option(help="So many at most.", min=1, max=1000)] = 30,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """List the replays, the newest first, and how far they are."""
    with opened(var) as connection:
        found = replays.list_all(connection, limit=limit)
    if json:
        print_json([as_json(it) for it in found])
    else:
        out.print(table(found))


@app.command()
def show(
    number: Number,
    *,
    against: Annotated[
        str | None,
        typer.Option(help="Compare with 'served', or with a version as name@version."),
    ] = None,
    var: Var = DEFAULT_VAR,
    json: Json = False,
) -> None:
    """Show how far a replay is, and how its stages compare with others of the same epochs."""
    with connected(var) as engine:
        with transaction(engine) as connection:
            found = replays.get(connection, number)
        report = None
        if against is not None:
            other = None if against == SERVED else against
            report = replayed.compare(engine, found, other)
    if report is None:
        tell(found, json=json)
    elif json:
        print_json({**as_json(found), "against": against, "comparison": report})
    else:
        tell(found, json=False)
        out.print(*compared(report, found.model, str(against)), sep="\n")


def _scope(tenant: str | None, device: str | None) -> tuple[str | None, str | None]:
    if device is None:
        return tenant, None
    who = DeviceId.parse(device if tenant is None or "/" in device else f"{tenant}/{device}")
    if tenant not in {None, who.tenant}:
        message = f"{device} is no device of {tenant}"
        raise ConfigurationError(message, hint="leave --tenant out")
    return who.tenant, who.device


def _ordered(facade: Facade, owner: str | None, wanted: Document, *, json: bool) -> None:
    own_tenant(facade, owner)
    made = order(facade, "/v1/replays", plain(wanted))
    if json:
        print_json(made)
    else:
        out.print(f"replay {made['id']}: {made['state']}, {made['result']}", markup=False)


def _run(number: int, folder: Path, jobs: int, var: Path, *, json: bool) -> None:
    """Do what is open of a replay; tell how it ended, with exit code 1 unless it is done."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    order = Order(database_url(var), folder, number)
    with connected(var) as engine:
        with replays.held(engine, number) as is_mine:
            if not is_mine:
                message = f"replay {number} runs already"
                raise ConfigurationError(message, hint=f"noctis replay show {number}")
            with transaction(engine) as connection:
                found = replays.reopen(connection, number)
                todo = replays.parts(connection, number, is_open=True)
            runner.run(order, todo, jobs=jobs, told=_Meter(found))
        with transaction(engine) as connection:
            ended = replays.settle(connection, number)
    tell(ended, json=json)
    if ended.state != "done":
        raise typer.Exit(1)


class _Meter:
    """Tells how far a replay is, every few seconds."""

    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._done = replay.epochs_done
        self._begin, self._told_at = time.monotonic(), 0.0

    def __call__(self, done: Done) -> None:
        self._done += done.epochs
        now = time.monotonic()
        if now - self._told_at < TOLD_EVERY_S and self._done < self._replay.epochs:
            return
        self._told_at = now
        rate = (self._done - self._replay.epochs_done) / max(now - self._begin, 1e-3)
        progress(
            f"replay {self._replay.id}: {self._done} of {self._replay.epochs} epochs, "
            f"{rate:.0f}/s"
        )
