"""Training from a folder of nights to a model in the registry."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.datasets import Progress, Recording, load
from evaluation.document import figures
from noctis.errors import ModelError
from noctis.settings import Settings
from registry.manifest import Manifest
from registry.store import DEFAULT_NAME, Registry
from training.export import build
from training.features import Table, tabulate
from training.trees import Parameters, cross_validate, fit

__all__ = ["Order", "make_model", "train"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to train on and how; ``attribution`` is Markdown on the data's origin."""

    data: Path
    name: str = DEFAULT_NAME
    parameters: Parameters = field(default_factory=Parameters)
    attribution: str = ""
    jobs: int = 1
    device: Path | None = None


def train(
    order: Order,
    settings: Settings,
    *,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Train a model and publish it to the registry, or write it to the new folder ``out``.

    No alias moves: who serves is decided by promotion. Raises DataError for nights that cannot
    be used, ModelError when ``out`` exists or the version is published already.
    """
    if out is not None and out.exists():
        message = f"{out} exists"
        raise ModelError(message, hint="name a folder that does not, or move it away")
    recordings = load(
        order.data,
        cache=settings.var / "cache" / "nights",
        device=order.device,
        progress=progress,
    )
    registry = Registry(settings.models, order.name)
    with tempfile.TemporaryDirectory(prefix="noctis-model-") as draft:
        manifest = make_model(
            Path(draft), order, recordings, parent=registry.resolve(), progress=progress
        )
        if out is None:
            return registry.publish(Path(draft))
        shutil.copytree(draft, out)
        out.chmod(0o755)
        return manifest


def make_model(
    folder: Path,
    order: Order,
    recordings: list[Recording],
    *,
    parent: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Cross-validate by subject, fit on all recordings, and write the model into ``folder``."""
    tables: list[Table] = tabulate(recordings, jobs=order.jobs, progress=progress)
    matrices = cross_validate(tables, order.parameters, jobs=order.jobs, progress=progress)
    if progress is not None:
        progress("the model of all nights", 0, 1)
    return build(
        folder,
        name=order.name,
        classifier=fit(tables, order.parameters),
        figures=figures(matrices, seed=order.parameters.seed),
        recordings=recordings,
        tables=tables,
        parameters=order.parameters,
        parent=parent,
        attribution=order.attribution,
    )
