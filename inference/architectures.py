"""How a model makes probabilities of sessions: trees, a net, or a blend of several.

Trees read one vector of features a session, a net reads a window of tracks. A batch makes each
of them once, however many parts of a blend read it.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from inference.features import COUNT as FEATURE_COUNT
from inference.features import NAMES as FEATURE_NAMES
from inference.features import features
from inference.graph import RETRAIN, Graph
from inference.night_tracks import NAMES as NIGHT_NAMES
from inference.scaling import Scaling
from inference.tracks import COUNT as TRACK_COUNT
from inference.tracks import NAMES as TRACK_NAMES
from inference.tracks import WINDOW, tracks
from inference.trails import Trails
from noctis.errors import ModelError
from registry.manifest import Manifest, Part, Recipe

__all__ = [
    "Architecture",
    "Batch",
    "Blend",
    "Net",
    "Trees",
    "architecture_of",
    "mixed",
    "signature",
]

Sessions = Sequence[NDArray[np.int16]]
Probabilities = NDArray[np.float32]

LEAST: Final = 1e-7  # what a part holds for impossible is no more than very unlikely


class Batch:
    """Sessions to be staged together; each as ``inference.context.session_of`` returns it.

    ``trails``: tracks that were made before; they spare time and change nothing.
    """

    def __init__(self, sessions: Sessions, trails: Trails | None = None) -> None:
        self._sessions = sessions
        self._trails = trails
        self._windows: dict[Scaling | None, NDArray[np.float32]] = {}

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """Each session's features, shape (n, FEATURE_COUNT)."""
        table = np.empty((len(self._sessions), FEATURE_COUNT), np.float32)
        for row, session in zip(table, self._sessions, strict=True):
            row[:] = features(session)
        return table

    def windows(self, scaling: Scaling | None) -> NDArray[np.float32]:
        """Return each session's last tracks, scaled, shape (n, WINDOW, TRACK_COUNT)."""
        windows = self._windows.get(scaling)
        if windows is None:
            windows = np.empty((len(self._sessions), WINDOW, TRACK_COUNT), np.float32)
            for window, session in zip(windows, self._sessions, strict=True):
                if self._trails is not None:
                    self._trails.read(session, scaling, window)
                else:
                    made = tracks(session)
                    window[:] = made if scaling is None else scaling(made)
            self._windows[scaling] = windows
        return windows


class Architecture(Protocol):
    """What turns a batch of n sessions into their stages' probabilities."""

    def probabilities(self, batch: Batch) -> Probabilities:
        """Return the probabilities, shape (n, 4), of each session's last epoch."""
        ...


class Trees:
    """Boosted trees on the features of the session so far."""

    def __init__(self, artefact: bytes, *, where: str) -> None:
        self._graph = Graph(artefact, (FEATURE_COUNT,), where=where)

    def probabilities(self, batch: Batch) -> Probabilities:
        """See Architecture."""
        return self._graph(batch.features)


class Net:
    """A causal net on the tracks of the session's last epochs.

    Its graph takes them scaled as its metadata say, and as they are where those are silent.
    """

    def __init__(self, artefact: bytes, *, where: str) -> None:
        self._graph = Graph(artefact, (WINDOW, TRACK_COUNT), where=where)
        try:
            self._scaling = Scaling.within(self._graph.metadata)
        except ValueError as error:
            message = f"{where} scales its inputs in a way that cannot be read"
            raise ModelError(message, hint=RETRAIN) from error

    def probabilities(self, batch: Batch) -> Probabilities:
        """See Architecture."""
        return self._graph(batch.windows(self._scaling))


class Blend:
    """Parts weighted as logarithms, divided by a power of the prior, softened by a temperature.

    See ``mixed``.
    """

    def __init__(self, parts: Sequence[Architecture], recipe: Recipe) -> None:
        self._parts = parts
        self._recipe = recipe

    def probabilities(self, batch: Batch) -> Probabilities:
        """See Architecture."""
        return mixed([part.probabilities(batch) for part in self._parts], self._recipe)


def mixed(opinions: Sequence[Probabilities], recipe: Recipe) -> Probabilities:
    """Return the probabilities, shape (n, 4), that a recipe makes of its parts' ``opinions``.

    With part k's probabilities p_k, a stage's share is in proportion to
    ``exp((sum of w_k log p_k - prior_power log prior) / temperature)``.
    """
    weights = [part.weight for part in recipe.parts] or [1.0]
    votes = [
        weight * np.log(np.maximum(opinion, LEAST), dtype=np.float64)
        for opinion, weight in zip(opinions, weights, strict=True)
    ]
    lift = recipe.prior_power * np.log(recipe.prior or 1.0)
    scores = (sum(votes[1:], votes[0]) - lift) / recipe.temperature
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


_READS: Final = {"trees": FEATURE_NAMES, "net": TRACK_NAMES, "night": NIGHT_NAMES}
_KINDS: Final[Mapping[str, type[Trees] | type[Net]]] = {"trees": Trees, "net": Net}


def signature(parts: Sequence[Part]) -> tuple[str, ...]:
    """Return the names of what a model of these parts reads, each kind's inputs once."""
    kinds = dict.fromkeys(part.kind for part in parts)
    return tuple(name for kind in kinds for name in _READS[kind])


def architecture_of(manifest: Manifest, contents: Mapping[str, bytes]) -> Architecture:
    """Return the architecture that a manifest describes, of its files' ``contents``.

    Raises ModelError for bytes that are no graph of the right inputs.
    """
    parts = [
        _KINDS[part.kind](contents[part.file], where=f"{manifest.full_name}: {part.file}")
        for part in manifest.parts
    ]
    plain = manifest.architecture != "blend" and manifest.recipe.is_plain
    return parts[0] if plain else Blend(parts, manifest.recipe)
