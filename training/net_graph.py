"""From trained nets to one graph of ONNX that stages the last epoch of a window.

Of a net's layers over a window, only what the last epoch rests on is computed: with taps that
lie 1, 2, 4 ... epochs apart, that is seven plain convolutions with a stride of two, from 255
rows down to one. Several nets run side by side, and the mean of their logarithms is told.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from inference.scaling import BOUND
from inference.tracks import COUNT as TRACKS
from inference.tracks import WINDOW
from noctis.stages import COUNT
from training.nets import LAYERS, Net

__all__ = ["Sketch", "array_of", "gelu", "graph_of", "scaled_of", "to_graph", "units_of"]

Array = NDArray[np.float32]

OPSET: Final = 17
IR: Final = 8
EPSILON: Final = 1e-5  # torch's LayerNorm has it


class Sketch:
    """Nodes and constants as they come, each named by its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(
        self, kind: str, output: str, *inputs: object, **attributes: float | list[int]
    ) -> str:
        """Add a node; an input that is no name becomes a constant."""
        names = [
            it if isinstance(it, str) else self._constant(f"{output}.{i}", it)
            for i, it in enumerate(inputs)
        ]
        node = helper.make_node(kind, names, [output], output)
        node.attribute.extend(helper.make_attribute(*it) for it in attributes.items())
        self.nodes.append(node)
        return output

    def _constant(self, name: str, value: object) -> str:
        array = np.asarray(value)
        kept = array if array.dtype == np.int64 else array.astype(np.float32)
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(kept), name))
        return name


def to_graph(nets: Sequence[Net]) -> bytes:
    """Return scaled tracks (n, WINDOW, TRACKS) to ``probabilities`` (n, 4) as ONNX.

    The nets are those of one training: of one width, and with one scaling of their inputs,
    which the graph's metadata tell.
    """
    sketch = Sketch()
    here = units_of(sketch, nets, "inputs")
    past = _layers(sketch, nets, here)
    _outputs(sketch, nets, here, past)
    return graph_of(sketch, "inputs", [None, WINDOW, TRACKS], nets[0].scaling.metadata)


def graph_of(
    sketch: Sketch,
    name: str,
    shape: list[int | None],
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a finished sketch as ONNX: ``name`` of this shape to ``probabilities`` (n, 4)."""
    graph = helper.make_graph(
        sketch.nodes,
        "nets",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, COUNT])],
        sketch.constants,
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=IR)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def scaled_of(sketch: Sketch, nets: Sequence[Net]) -> str:
    """Name ``tracks`` as the nets' inputs: what ``Scaling`` makes of them."""
    scaling = nets[0].scaling
    sketch.add("IsNaN", "unknown", "tracks")
    sketch.add("Where", "known", "unknown", scaling.centre, "tracks")
    sketch.add("Sub", "centred", "known", scaling.centre)
    sketch.add("Mul", "scaled", "centred", scaling.factor)
    return sketch.add("Clip", "bounded", "scaled", np.float32(-BOUND), np.float32(BOUND))


def units_of(sketch: Sketch, nets: Sequence[Net], inputs: str) -> str:
    """Name the nets' units at each row of ``inputs``, shape (n, nets * width, rows)."""
    weights = np.concatenate([array_of(net.inputs.weight).T for net in nets], axis=1)
    biases = np.concatenate([array_of(net.inputs.bias) for net in nets])
    sketch.add("MatMul", "weighted", inputs, weights)
    sketch.add("Add", "units", "weighted", biases)
    stretch = np.stack([array_of(net.norm.weight) for net in nets])
    shift = np.stack([array_of(net.norm.bias) for net in nets])
    if len(nets) == 1:
        normal = {"axis": -1, "epsilon": EPSILON}
        sketch.add("LayerNormalization", "together", "units", stretch[0], shift[0], **normal)
    else:
        _normal_apart(sketch, stretch, shift)
    sketch.add("Transpose", "turned", "together", perm=[0, 2, 1])
    return gelu(sketch, "here", "turned")


def _normal_apart(sketch: Sketch, stretch: Array, shift: Array) -> None:
    """Bring each net's units to a mean of 0 and a deviation of 1, then to its own scale."""
    count, width = stretch.shape
    sketch.add("Reshape", "apart", "units", np.array([0, 0, count, width]))
    one = np.ones(width, np.float32)
    sketch.add("LayerNormalization", "normal", "apart", one, axis=-1, epsilon=EPSILON)
    sketch.add("Mul", "stretched", "normal", stretch)
    sketch.add("Add", "shifted", "stretched", shift)
    sketch.add("Reshape", "together", "shifted", np.array([0, 0, count * width]))


def _layers(sketch: Sketch, nets: Sequence[Net], here: str) -> str:
    """Name the nets' units after all layers, shape (n, nets * width, 1)."""
    past = here
    for layer in range(LAYERS):
        # torch: (tap, in, out); ONNX: (out, in, tap), the nets as groups.
        taps = np.concatenate([array_of(net.taps[layer]).transpose(2, 1, 0) for net in nets])
        bias = np.concatenate([array_of(net.bias[layer]) for net in nets])
        name = f"layer{layer}"
        sketch.add("Conv", f"{name}.sum", past, taps, bias, group=len(nets), strides=[2])
        made = gelu(sketch, f"{name}.made", f"{name}.sum")
        # Of each three rows the last, which is the next three's first.
        begin, end, axis, step = ([it] for it in (2, WINDOW, 2, 2))
        kept = sketch.add("Slice", f"{name}.kept", past, begin, end, axis, step)
        past = sketch.add("Add", name, kept, made)
    return past


def _outputs(sketch: Sketch, nets: Sequence[Net], here: str, past: str) -> None:
    width = len(nets[0].norm.weight)
    apart = np.array([0, len(nets), 1, width])
    sketch.add("Gather", "last", here, np.array(WINDOW - 1), axis=2)
    sketch.add("Reshape", "last.apart", "last", apart)
    sketch.add("Reshape", "past.apart", past, apart)
    sketch.add("Concat", "seen", "past.apart", "last.apart", axis=3)
    weights = np.stack([array_of(net.outputs.weight).T for net in nets])
    biases = np.stack([array_of(net.outputs.bias)[None] for net in nets])
    sketch.add("MatMul", "votes", "seen", weights)
    sketch.add("Add", "logits", "votes", biases)
    sketch.add("LogSoftmax", "logarithms", "logits", axis=3)
    sketch.add("ReduceMean", "mean", "logarithms", axes=[1, 2], keepdims=0)
    sketch.add("Softmax", "probabilities", "mean", axis=1)


def gelu(sketch: Sketch, output: str, name: str) -> str:
    """Name the Gaussian error linear units of what ``name`` names."""
    # In this form the runtime makes one step of the five.
    sketch.add("Div", f"{output}.root", name, np.float32(2**0.5))
    sketch.add("Erf", f"{output}.erf", f"{output}.root")
    sketch.add("Add", f"{output}.share", f"{output}.erf", np.float32(1))
    sketch.add("Mul", f"{output}.double", name, f"{output}.share")
    return sketch.add("Mul", output, f"{output}.double", np.float32(0.5))


def array_of(values: Tensor) -> NDArray[np.float32]:
    """Return a parameter of a net as an array."""
    array: NDArray[np.float32] = values.detach().numpy()
    return array
