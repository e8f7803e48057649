"""Which of the media types on offer a caller would like best (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from contextlib import suppress

from api.problems import ProblemError

__all__ = ["best"]


def best(accept: str | None, offered: Sequence[str]) -> str:
    """Return one of ``offered``, the first of those that are wanted most.

    Raises ProblemError 406 where none is wanted.
    """
    wanted = [_range(each) for each in (accept or "*/*").split(",") if each.strip()]
    weights = [(_weight(kind, wanted), -place) for place, kind in enumerate(offered)]
    weight, place = max(weights)
    if weight <= 0:
        raise ProblemError(406, f"there is {' or '.join(offered)}")
    return offered[-place]


def _range(text: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in text.split(";"))
    weight = 1.0
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            weight = 0.0
            with suppress(ValueError):
                weight = min(1.0, float(value))
    return kind, weight


def _weight(kind: str, wanted: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that takes in ``kind``; 0 without one."""
    for pattern in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        weights = [weight for range_, weight in wanted if range_ == pattern]
        if weights:
            return max(weights)
    return 0.0
