"""The model in use, looked after in the background, so that no epoch waits for a reload."""

from typing import Final

import anyio
import anyio.to_thread
from prometheus_client import Gauge

from inference.model import ActiveModel, Model

__all__ = ["Serving"]

LOOK_S: Final = 1.0

_in_use = Gauge("noctis_inference_model", "1 for the model in use.", ["model"])


class Serving:
    """Holds the active model; a new champion is loaded and proved aside, then swapped in."""

    def __init__(self, source: ActiveModel) -> None:
        self._source = source
        self.model: Model = source.current
        _in_use.labels(self.model.full_name).set(1)

    async def run(self) -> None:
        """Look for a new champion once a second."""
        while True:
            await anyio.sleep(LOOK_S)
            model = await anyio.to_thread.run_sync(lambda: self._source.current)
            if model is not self.model:
                _in_use.remove(self.model.full_name)
                _in_use.labels(model.full_name).set(1)
                self.model = model
