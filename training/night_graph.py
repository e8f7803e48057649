"""From trained nets that look both ways to one graph of ONNX that stages a whole night.

The graph takes the tracks of a night of any length: seven convolutions whose taps lie 1, 2,
4 ... epochs apart, side by side for all nets, and the mean of their logarithms.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from inference.graph import Graph
from inference.night_tracks import COUNT as TRACKS
from noctis.errors import ModelError
from registry.manifest import ARTEFACT
from training.lessons import Lesson
from training.net_graph import Sketch, array_of, gelu, graph_of, scaled_of, units_of
from training.nets import LAYERS, Net, mean_of

__all__ = ["to_night_graph"]

TOLERANCE: Final = 1e-4


def to_night_graph(nets: Sequence[Net], lessons: Sequence[Lesson]) -> bytes:
    """Return ``night`` (n, TRACKS) to ``probabilities`` (n, 4) as ONNX.

    The nets are those of one training. Raises ModelError where the graph says anything else
    than the nets of any night of the lessons.
    """
    artefact = _graph(nets)
    graph = Graph(artefact, (TRACKS,), where=ARTEFACT)
    for lesson in lessons:
        tracks = lesson.view.course.tracks
        difference = np.abs(graph(tracks) - mean_of(nets, tracks)).max()
        if not difference <= TOLERANCE:
            message = f"the ONNX graph is {difference:.2g} off the trained nets"
            raise ModelError(message, hint="are torch and onnx of the locked versions?")
    return artefact


def _graph(nets: Sequence[Net]) -> bytes:
    sketch = Sketch()
    before, behind = nets[0].reach
    # What lies beyond the night is unknown, as it was in training.
    edges = np.array([before, 0, behind, 0])
    sketch.add("Pad", "padded", "night", edges, np.float32(np.nan))
    sketch.add("Unsqueeze", "tracks", "padded", np.array([0]))
    here = units_of(sketch, nets, scaled_of(sketch, nets))
    _outputs(sketch, nets, here, _layers(sketch, nets, here))
    return graph_of(sketch, "night", [None, TRACKS])


def _layers(sketch: Sketch, nets: Sequence[Net], here: str) -> str:
    """Name the nets' units after all layers, shape (1, nets * width, n)."""
    seen = here
    for layer in range(LAYERS):
        step, carried = 1 << layer, f"layer{layer}.carried"
        middle = [np.array([it]) for it in (step, -step, 2)]
        # torch: (tap, in, out); ONNX: (out, in, tap), the nets as groups.
        taps = np.concatenate([array_of(net.taps[layer]).transpose(2, 1, 0) for net in nets])
        bias = np.concatenate([array_of(net.bias[layer]) for net in nets])
        summed = sketch.add(
            "Conv", f"layer{layer}.sum", seen, taps, bias, group=len(nets), dilations=[step]
        )
        made = gelu(sketch, f"layer{layer}.made", summed)
        sketch.add("Slice", carried, seen, *middle)
        seen = sketch.add("Add", f"layer{layer}", made, carried)
    return seen


def _outputs(sketch: Sketch, nets: Sequence[Net], here: str, seen: str) -> None:
    width = len(nets[0].norm.weight)
    before, behind = nets[0].reach
    apart = np.array([len(nets), width, -1])
    ends = [np.array([it]) for it in (before, -behind, 2)]
    sketch.add("Slice", "middle", here, *ends)
    sketch.add("Reshape", "middle.apart", "middle", apart)
    sketch.add("Reshape", "seen.apart", seen, apart)
    sketch.add("Concat", "both", "seen.apart", "middle.apart", axis=1)
    sketch.add("Transpose", "rows", "both", perm=[0, 2, 1])
    weights = np.stack([array_of(net.outputs.weight).T for net in nets])
    biases = np.stack([array_of(net.outputs.bias)[None] for net in nets])
    sketch.add("MatMul", "votes", "rows", weights)
    sketch.add("Add", "logits", "votes", biases)
    sketch.add("LogSoftmax", "logarithms", "logits", axis=2)
    sketch.add("ReduceMean", "mean", "logarithms", axes=[0], keepdims=0)
    sketch.add("Softmax", "probabilities", "mean", axis=1)
