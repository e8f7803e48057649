"""How far two versions agree where there is no reference: neither of them is right."""

from typing import Any

from evaluation import figures
from noctis.epoch import EPOCH_SECONDS
from noctis.stages import COUNT, LABELS
from noctis.storage.agreement import ABSENT, NULL, Pairs

__all__ = ["document", "side"]


def document(pairs: Pairs) -> dict[str, Any]:
    """Return the figures of pairs of stages (``noctis.storage.agreement``), as JSON has them.

    ``kappa`` and ``agreement`` are of the epochs that both gave a stage, ``epochs`` how many
    those are, ``absent`` how many the other did not judge. ``minutes`` and ``null_share`` are
    of the epochs that both judged. None where there is nothing to tell.
    """
    both = pairs[:COUNT, :COUNT]
    judged = pairs[:ABSENT, :ABSENT]
    return {
        "epochs": int(both.sum()),
        "absent": int(pairs[:, ABSENT].sum()),
        "kappa": _number(float(figures.kappa(both))),
        "agreement": _number(float(figures.accuracy(both))),
        "confusion": both.tolist(),
        "own": side(judged.sum(axis=1)),
        "other": side(judged.sum(axis=0)),
    }


def side(counts: Pairs) -> dict[str, Any]:
    """Return minutes of each stage and the share of null, of counts of shape (5,)."""
    epochs = int(counts.sum())
    minutes = (counts[:COUNT] * EPOCH_SECONDS / 60).tolist()
    return {
        "minutes": dict(zip(LABELS, minutes, strict=True)),
        "null_share": int(counts[NULL]) / epochs if epochs else None,
    }


def _number(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124 - NaN
