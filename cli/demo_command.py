"""``noctis demo``: one night from radar bytes to a stage, counted and compared."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from cli.demo import Night, Outcome, play, stages_of
from cli.embedded import Platform
from cli.hypnogram import draw
from cli.output import Json, out, print_json, progress
from noctis.childproc import free_port

__all__ = ["demo"]


def demo(
    night: Annotated[
        Path | None,
        typer.Option(help="Folder of a recorded night; without it one is made up."),
    ] = None,
    *,
    seed: Annotated[int, typer.Option(help="Seed of the made-up night.")] = 1,
    hours: Annotated[float, typer.Option(help="Length of the made-up night.")] = 8.0,
    speed: Annotated[str, typer.Option(help="Times real time, or max.")] = "max",
    timeout: Annotated[float, typer.Option(help="Seconds to give up after.")] = 600.0,
    var: Annotated[
        Path | None,
        typer.Option(help="Keep the platform's files here (default: a temporary folder)."),
    ] = None,
    persistence: Annotated[bool, typer.Option(help="Let the broker keep its sessions.")] = True,
    json: Json = False,
) -> None:
    """Replay one night through one device, end to end, and count what became of it.

    Starts a platform of its own in a temporary folder: database, broker, services. Exit code 0
    only when every epoch made was stored and predicted, and nothing was lost or doubled.
    """
    asked = Night(night, seed, hours)
    reference = stages_of(asked)  # before anything is started
    with _folder(var) as folder:
        platform = Platform(
            folder, api_port=free_port(), persistence=persistence, tell=progress
        )
        with platform:
            outcome = play(
                asked,
                platform,
                reference,
                speed=speed,
                timeout_s=timeout,
                tell=progress,
            )
        if var is None:
            _remove(platform.folders)
    if json:
        print_json(outcome.report.as_json())
    else:
        _show(outcome)
    if not outcome.report.verdict:
        raise typer.Exit(1)


@contextmanager
def _folder(var: Path | None) -> Iterator[Path]:
    if var is not None:
        yield var
        return
    with tempfile.TemporaryDirectory(prefix="noctis-demo-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # the servers' own user must enter it where we are root
        yield folder


def _remove(folders: Iterable[Path]) -> None:
    """Remove the files of a platform, those too that lie outside its folder."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            folder.parent.rmdir()  # only where nothing else is in it


def _show(outcome: Outcome) -> None:
    report = outcome.report
    out.print(draw(outcome.predicted, title="as predicted"))
    if any(stage is not None for stage in outcome.reference):
        out.print(draw(outcome.reference, title="\nas scored"))
    out.print()
    out.print(
        f"epochs made {report.made}, stored {report.stored}, predicted {report.predicted}"
    )
    out.print(f"lost {report.lost}, duplicates {report.duplicates}")
    if report.agreement is not None:
        agreement = report.agreement
        note = " (the model was trained on this night)" if report.night_in_training else ""
        out.print(f"kappa {agreement.kappa:.2f}, accuracy {agreement.accuracy:.2f}{note}")
    latency = report.latency_ms
    if latency.p50 is not None:
        out.print(
            f"from publish to the app: p50 {latency.p50} ms, p95 {latency.p95} ms "
            f"over {latency.count} live epochs"
        )
    out.print(f"{report.seconds} s")
    if not report.verdict:
        out.print("[bold red]not every epoch arrived exactly once[/]")
