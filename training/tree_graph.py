"""From trained trees to a graph of ONNX, equal to them on every epoch they learnt from."""

import warnings
from collections.abc import Sequence
from typing import Final

import numpy as np
from skl2onnx import to_onnx  # type: ignore[import-untyped]
from skl2onnx.common.data_types import FloatTensorType  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline  # type: ignore[import-untyped]

from inference.context import FEATURE_COUNT
from inference.graph import Graph
from noctis.errors import ModelError
from registry.manifest import ARTEFACT
from training.features import Table

__all__ = ["to_artefact", "tree_graph"]

OPSET: Final = 17
TOLERANCE: Final = 1e-4


def tree_graph(classifier: Pipeline, tables: Sequence[Table]) -> bytes:
    """Return the classifier as ONNX; raise ModelError where both differ on the tables."""
    artefact = to_artefact(classifier)
    graph = Graph(artefact, (FEATURE_COUNT,), where=ARTEFACT)
    for table in tables:
        rows = table.features
        difference = np.abs(graph(rows) - classifier.predict_proba(rows)).max()
        if not difference <= TOLERANCE:
            message = f"the ONNX model is {difference:.2g} off the trained classifier"
            raise ModelError(message, hint="are skl2onnx and protobuf of the locked versions?")
    return artefact


def to_artefact(classifier: Pipeline) -> bytes:
    """Return the classifier as ONNX: ``features`` (n, F) in, ``probabilities`` (n, 4) out."""
    trees = classifier.named_steps["trees"]
    with warnings.catch_warnings():
        # skl2onnx 1.20 hands booleans to protobuf where integers are meant.
        warnings.simplefilter("ignore", DeprecationWarning)
        graph = to_onnx(
            classifier,
            initial_types=[("features", FloatTensorType([None, FEATURE_COUNT]))],
            options={id(trees): {"zipmap": False}},
            target_opset=OPSET,
        )
    graph.doc_string = ""
    # They come out of a set, in an order that changes from one process to the next.
    graph.opset_import.sort(key=lambda opset: opset.domain)
    return bytes(graph.SerializeToString(deterministic=True))
