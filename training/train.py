"""Training from a folder of nights to a model in the registry."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from evaluation.datasets import Progress, Recording, find_nights, load
from evaluation.document import figures
from inference.night import NIGHT_NAME
from noctis.errors import ModelError
from noctis.settings import Settings
from registry.manifest import ARTEFACT, Manifest
from registry.store import DEFAULT_NAME, Registry
from training.altered import altered_copies
from training.export import Product, build
from training.features import Table, tabulate
from training.tree_graph import tree_graph
from training.trees import Parameters, cross_validate, fit

__all__ = ["Order", "make_model", "train"]

NIGHT_COPIES: Final = 8


@dataclass(frozen=True, slots=True)
class Order:
    """What to train on and how; ``attribution`` is Markdown on the data's origin."""

    data: Path
    name: str = DEFAULT_NAME
    parameters: Parameters = field(default_factory=Parameters)
    architecture: Literal["trees", "net", "blend", "night"] = "trees"
    copies: int = 4
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
    if (order.architecture == "night") != (order.name == NIGHT_NAME):
        message = f"a {order.architecture} cannot be named {order.name}"
        raise ModelError(message, hint=f"models of whole nights, and no others: {NIGHT_NAME}")
    if out is not None and out.exists():
        message = f"{out} exists"
        raise ModelError(message, hint="name a folder that does not, or move it away")
    cache = settings.var / "cache" / "nights"
    recordings = load(order.data, cache=cache, device=order.device, progress=progress)
    copies = altered(order, recordings, cache, progress)
    registry = Registry(settings.models, order.name)
    with tempfile.TemporaryDirectory(prefix="noctis-model-") as draft:
        manifest = make_model(
            Path(draft),
            order,
            recordings,
            copies=copies,
            parent=registry.resolve(),
            progress=progress,
        )
        if out is None:
            return registry.publish(Path(draft))
        shutil.copytree(draft, out)
        out.chmod(0o755)
        return manifest


def altered(
    order: Order, recordings: Sequence[Recording], cache: Path, progress: Progress | None
) -> list[list[Recording]]:
    """Return the altered copies of each night that the order's nets learn; none for trees."""
    if order.architecture == "trees":
        return [[] for _ in recordings]
    if progress is not None:
        progress("altered copies of the nights through the firmware", 0, 1)
    return altered_copies(
        find_nights(order.data),
        recordings,
        NIGHT_COPIES if order.architecture == "night" else order.copies,
        cache=cache,
        device=order.device,
        jobs=order.jobs,
    )


def make_model(
    folder: Path,
    order: Order,
    recordings: list[Recording],
    *,
    copies: Sequence[Sequence[Recording]] = (),
    parent: str | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Cross-validate by subject, fit on all recordings, and write the model into ``folder``."""
    if order.architecture == "trees":
        product = _trees(order, recordings, progress)
    else:
        product = _parts(order, recordings, copies, progress)
    return build(
        folder,
        product,
        name=order.name,
        recordings=recordings,
        parent=parent,
        attribution=order.attribution,
    )


def _trees(order: Order, recordings: list[Recording], progress: Progress | None) -> Product:
    tables: list[Table] = tabulate(recordings, jobs=order.jobs, progress=progress)
    matrices = cross_validate(tables, order.parameters, jobs=order.jobs, progress=progress)
    if progress is not None:
        progress("the model of all nights", 0, 1)
    return Product(
        {ARTEFACT: tree_graph(fit(tables, order.parameters), tables)},
        figures(matrices, seed=order.parameters.seed),
        order.parameters.seed,
        order.parameters.as_dict(),
    )


def _parts(
    order: Order,
    recordings: list[Recording],
    copies: Sequence[Sequence[Recording]],
    progress: Progress | None,
) -> Product:
    # Trees alone need no PyTorch.
    from training.parts import Plan  # noqa: PLC0415 - torch is an extra
    from training.stager import make_stager  # noqa: PLC0415 - torch is an extra

    given = copies or [()] * len(recordings)
    if order.architecture == "night":
        return _night(order, recordings, given, progress)
    plan = Plan(order.architecture, order.parameters)
    return make_stager(plan, recordings, given, jobs=order.jobs, progress=progress)


def _night(
    order: Order,
    recordings: list[Recording],
    copies: Sequence[Sequence[Recording]],
    progress: Progress | None,
) -> Product:
    from training.night import NightPlan, make_night_stager  # noqa: PLC0415 - torch is an extra

    plan = NightPlan(
        order.parameters.seed,
        order.parameters.folds,
        prior_power=order.parameters.prior_power,
    )
    return make_night_stager(plan, recordings, copies, jobs=order.jobs, progress=progress)
