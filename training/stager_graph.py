"""From a trained stager of parts to graphs and the recipe that brings them together."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.graph import Graph
from inference.tracks import COUNT, WINDOW
from noctis.errors import ModelError
from registry.manifest import ARTEFACT, Part, Recipe
from training.blend import Mix
from training.lessons import Lesson
from training.net_graph import to_graph
from training.nets import Net, mean_of
from training.parts import Stager
from training.tree_graph import tree_graph

__all__ = ["graphs_of", "recipe_of"]

TREES: Final = ARTEFACT
NETS: Final = "nets.onnx"
TOLERANCE: Final = 1e-4
BATCH: Final = 256


def graphs_of(stager: Stager, lessons: Sequence[Lesson]) -> dict[str, bytes]:
    """Return the parts' graphs by file; raise ModelError where a graph is not its part.

    Both are compared on every epoch of the lessons.
    """
    parts = stager.parts
    nets = to_graph(parts.nets)
    _check_nets(nets, parts.nets, lessons)
    if parts.trees is None:
        return {ARTEFACT: nets}
    tables = [lesson.view.table for lesson in lessons if lesson.view.table is not None]
    return {TREES: tree_graph(parts.trees, tables), NETS: nets}


def recipe_of(mix: Mix) -> Recipe:
    """Return the recipe of the graphs."""
    parts: tuple[Part, ...] = (Part(kind="net", file=ARTEFACT),)
    if mix.net_share < 1:
        trees = Part(kind="trees", file=TREES, weight=1 - mix.net_share)
        parts = (trees, Part(kind="net", file=NETS, weight=mix.net_share))
    return Recipe(
        parts=parts,
        prior=mix.prior,
        prior_power=mix.prior_power,
        temperature=mix.temperature,
    )


def _check_nets(artefact: bytes, nets: tuple[Net, ...], lessons: Sequence[Lesson]) -> None:
    graph = Graph(artefact, (WINDOW, COUNT), where=NETS)
    for lesson in lessons:
        expected = mean_of(nets, lesson.view.course.tracks)
        rows = nets[0].scaling(lesson.view.course.tracks)
        padded = np.concatenate((np.zeros((WINDOW - 1, COUNT), np.float32), rows))
        windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW, 0).swapaxes(1, 2)
        for begin in range(0, len(rows), BATCH):
            part = slice(begin, begin + BATCH)
            difference = np.abs(graph(windows[part]) - expected[part]).max()
            if not difference <= TOLERANCE:
                message = f"the ONNX graph is {difference:.2g} off the trained nets"
                raise ModelError(message, hint="are torch and onnx of the locked versions?")
