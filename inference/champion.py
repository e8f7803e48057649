"""A champion of the registry in use, looked after aside, so that nothing waits for a reload."""

import threading
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import anyio
import anyio.to_thread
import structlog
from prometheus_client import Counter, Gauge

from noctis.errors import ModelError
from registry.presence import Presence
from registry.store import CHAMPION, Registry

__all__ = ["Champion"]

LOOK_S: Final = 1.0
AGAIN_S: Final = 60.0

_ANOTHER: Final = "promote another version, or roll back: noctis model rollback"
_Mark = tuple[int, int] | None
_log = structlog.get_logger(__name__)
_in_use = Gauge(
    "noctis_inference_model",
    "Processes that use a model; 0 for the models before it.",
    ["model"],
    multiprocess_mode="livesum",
)
_refused = Counter(
    "noctis_inference_model_refused_total", "Champions that did not load; the former serves on."
)
_standing_in = Gauge(
    "noctis_inference_champion_refused",
    "Processes whose champion does not load: an earlier version or the shipped one serves.",
    multiprocess_mode="livesum",
)


class _Named(Protocol):
    @property
    def full_name(self) -> str: ...


M = TypeVar("M", bound=_Named)


class Champion(Generic[M]):
    """Holds the champion of the registry, or the shipped model while there is no champion.

    ``load`` reads, verifies and proves the model in a folder, or raises ModelError. With the
    name of a ``service`` each look also says in the registry what this process serves.

    A new champion is read, verified, proved on its golden vectors, which warms it up, and then
    takes the former's place by one assignment: whoever holds the former finishes on it. One
    that fails is refused and tried again a minute later, or once the alias moves again. Who has
    no former one, since the process has just begun, takes the champion before it out of the
    history, or the one before that, and where none of them loads the shipped model.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        load: Callable[[Path], M],
        shipped: Path,
        service: str = "",
    ) -> None:
        self._registry = registry
        self._presence = Presence(registry.folder, service) if service else None
        self._load_folder = load
        self._shipped = shipped
        self._looking = threading.Lock()
        self._model: M | None = None
        self._refusal: Exception | None = None
        self._mark: _Mark = None
        self._again_at = -inf

    @property
    def model(self) -> M:
        """The model to use now; the first call loads it. Raises ModelError where none does."""
        return self._model or self.look()

    @property
    def name(self) -> str:
        """The name under which its versions are published."""
        return self._registry.name

    @property
    def refusal(self) -> Exception | None:
        """Why the champion was refused when it was last read, None where it serves."""
        return self._refusal

    def look(self) -> M:
        """Return the model to use, after a look at the alias; loads where that has moved.

        It takes one file's status otherwise. Raises ModelError where there is no model yet.
        """
        with self._looking:
            mark = self._alias_mark()
            if mark != self._mark or time.monotonic() >= self._again_at:
                self._mark = mark
                self._reload()
            self._tell()
            if self._model is None:
                message = f"there is no model to serve: {self._refusal}"
                raise ModelError(message, hint=_ANOTHER) from self._refusal
            return self._model

    async def run(self) -> None:
        """Look for a new champion once a second."""
        while True:
            try:
                await anyio.to_thread.run_sync(self.look)
            except ModelError as error:
                _log.warning("no_model", error=str(error))
            await anyio.sleep(LOOK_S)

    def _tell(self) -> None:
        if self._presence is not None:
            model = self._model.full_name if self._model else None
            self._presence.tell(model, str(self._refusal) if self._refusal else None)

    def _reload(self) -> None:
        try:
            model = self._load()
        except (ModelError, OSError) as error:
            self._refuse(error)
        else:
            self._refusal, self._again_at = None, inf
            _standing_in.set(0)
            self._take(model)

    def _refuse(self, error: Exception) -> None:
        self._refusal, self._again_at = error, time.monotonic() + AGAIN_S
        _refused.inc()
        _standing_in.set(1)
        kept = self._model.full_name if self._model else None
        _log.error("model_refused", error=str(error), kept=kept)
        if self._model is None:
            self._stand_in()

    def _stand_in(self) -> None:
        """Take the nearest version before the champion that loads, or the shipped one."""
        for version in (*self._registry.stand_ins(CHAMPION), None):
            try:
                model = self._load_version(version)
            except (ModelError, OSError) as error:
                _log.error("model_refused", error=str(error), kept=None)
            else:
                self._take(model)
                _log.error("model_stands_in", model=model.full_name, hint=_ANOTHER)
                return

    def _take(self, model: M) -> None:
        before = self._model.full_name if self._model else None
        if before is not None:
            _in_use.labels(before).set(0)
        _in_use.labels(model.full_name).set(1)
        self._model = model
        _log.info("model_loaded", model=model.full_name, before=before)

    def _alias_mark(self) -> _Mark:
        try:
            status = self._registry.alias_path(CHAMPION).stat()
        except OSError:  # there is none, or its disk is away
            return None
        return status.st_ino, status.st_mtime_ns

    def _load(self) -> M:
        return self._load_version(self._registry.resolve(CHAMPION))

    def _load_version(self, version: str | None) -> M:
        """Load a version of the registry; None: the shipped one."""
        if version is None:
            return self._load_folder(self._shipped)
        return self._load_folder(self._registry.version_folder(version))
