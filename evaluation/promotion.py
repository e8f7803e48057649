"""What lets a version become the champion: a report that the gate agrees with, or a reason."""

from pathlib import Path

from evaluation import comparison
from evaluation.comparison import Report
from evaluation.gate import Limits
from noctis.errors import ConfigurationError, ModelError
from registry.manifest import MANIFEST, digest_of, read_manifest

__all__ = ["check", "keep", "words"]


def check(made: Report, folders: tuple[Path, Path], where: str) -> None:
    """Raise ModelError for a report that is not on the models in these two folders.

    Also where its decision is not what its counts say, or it was made with other limits than
    the gate's. ``where``: what errors call it.
    """
    comparison.check(made, where)
    for side, folder in zip((made.candidate, made.baseline), folders, strict=True):
        if side.manifest != digest_of(folder / MANIFEST):
            meant = read_manifest(folder).full_name
            message = f"{where} is on {side.model}, not on {meant} as it is here"
            raise ModelError(message, hint="compare the version with the one that serves now")
    if made.limits != Limits(latency_ratio=made.limits.latency_ratio):
        message = f"{where} was made with other limits than the gate's"
        raise ModelError(message, hint="compare the models anew")


def words(made: Report | None, override: str, reason: str) -> str:
    """Return what the history is told; raise ModelError where the gate says no."""
    if made is None:
        if not override:
            message = (
                "nothing shows that this version holds its own against the one that serves"
            )
            raise ModelError(message, hint="--data DIR or --tenant NAME compares them")
        return "; ".join(filter(None, (reason, f"override: {override}", "not compared")))
    told = made.decision
    if told.reasons and not override:
        message = f"{made.candidate.model} is not promoted: {'; '.join(told.reasons)}"
        raise ModelError(message, hint="train a better one, or --override REASON")
    parts = [reason, f"override: {override}" if override else "", *told.reasons]
    summary = f"{told.verdict} to {made.baseline.model} on {told.subjects} subjects"
    return "; ".join(filter(None, (*parts, summary, f"report {made.sha256}")))


def keep(made: Report, file: Path) -> None:
    """Write a report; raise ConfigurationError where it cannot be."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(made.model_dump_json(), "utf-8")
    except OSError as error:
        message = f"{file} cannot be written: {error.strerror}"
        raise ConfigurationError(message, hint="is its folder there, and ours?") from error
