"""When Python looks for circles of garbage: seldom, and never among what was loaded."""

import gc
from typing import Final

__all__ = ["look_seldom"]

_AFTER: Final = (50_000, 20, 100)
"""Objects made before the collector looks for circles among the young, and how many times it
does so before it looks among the older. Little of ours is circular, and at Python's own 700 a
service that remembers 50,000 devices spends a third of its time looking through them."""


def look_seldom() -> None:
    """Leave out whatever is there now, and look less often for what comes.

    A look through all that the facade imports stops it for 90 ms. Call it once, when a service
    has all that it begins with.
    """
    gc.freeze()
    gc.set_threshold(*_AFTER)
