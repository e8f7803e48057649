"""A graph of ONNX on one thread: one table or stack of tables in, probabilities out."""

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray

from noctis.errors import ModelError
from noctis.stages import COUNT

__all__ = ["RETRAIN", "Graph"]

RETRAIN = "train the model with this version of Noctis: noctis model train"


class Graph:
    """What ONNX Runtime runs; safe to call from several threads.

    ``shape``: of one row of the graph's only input, whose first axis is the batch. ``where``
    is what errors name. Raises ModelError when ``artefact`` is no such graph.
    """

    def __init__(self, artefact: bytes, shape: tuple[int, ...], *, where: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(
                artefact, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors have no common base of their own
            message = f"{where} is no model that ONNX Runtime reads"
            raise ModelError(message, hint=RETRAIN) from error
        self._shape = shape
        self._where = where
        self._check()

    def __call__(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the probabilities, shape (n, 4), of rows of shape (n, *shape).

        Raises ModelError for rows of another shape.
        """
        if rows.shape[1:] != self._shape:
            message = f"{self._where} takes (n, {self._text}), not {rows.shape}"
            raise ModelError(message, hint="pass what inference.architectures.Batch makes")
        if not len(rows):
            return np.empty((0, COUNT), np.float32)
        table = np.ascontiguousarray(rows, dtype=np.float32)
        [probabilities] = self._session.run(["probabilities"], {self._input: table})
        return np.asarray(probabilities, np.float32)

    @property
    def metadata(self) -> dict[str, str]:
        """What the graph says of itself besides its nodes."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def _text(self) -> str:
        return ", ".join(map(str, self._shape))

    def _check(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = [tuple(it.shape[1:]) for it in inputs]
        if shapes != [self._shape] or "probabilities" not in {it.name for it in outputs}:
            message = f"{self._where} takes {shapes}, and (n, {self._text}) is meant"
            raise ModelError(message, hint=RETRAIN)
        self._input = inputs[0].name
