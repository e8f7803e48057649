"""Parts of an answer, each with its own deadline: one that fails does not fail the others."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import anyio
import structlog
from pydantic import BaseModel, Field

from noctis.errors import NoctisError, StorageUnavailableError

__all__ = ["DEADLINE_S", "Part", "gathered"]

T = TypeVar("T")
DEADLINE_S: Final = 5.0
_log = structlog.get_logger(__name__)


class Part(BaseModel, Generic[T]):
    """What one part of the platform says, or why it says nothing."""

    ok: bool
    seconds: float = Field(description="how long it took to ask", examples=[0.012])
    reason: str | None = Field(description="why there is no value; else null", examples=[None])
    value: T | None = Field(description="null where it is not ok")


async def gathered(
    work: Mapping[str, Callable[[], Awaitable[Any]]], *, within_s: float = DEADLINE_S
) -> dict[str, Part[Any]]:
    """Return a part for each name, asked side by side, none for longer than ``within_s``."""
    found: dict[str, Part[Any]] = {}

    async def ask(name: str, function: Callable[[], Awaitable[Any]]) -> None:
        found[name] = await _part(name, function, within_s)

    async with anyio.create_task_group() as group:
        for name, function in work.items():
            group.start_soon(ask, name, function)
    return {name: found[name] for name in work}


async def _part(
    name: str, function: Callable[[], Awaitable[Any]], within_s: float
) -> Part[Any]:
    started = time.perf_counter()
    value = reason = None
    try:
        with anyio.fail_after(within_s):
            value = await function()
    except TimeoutError:
        reason = f"no answer within {within_s:.0f} s"
    except StorageUnavailableError:
        reason = "the database cannot be reached"
    except NoctisError as error:
        reason = error.message
    if reason is not None:
        _log.warning("part_not_told", part=name, reason=reason)
    seconds = round(time.perf_counter() - started, 4)
    return Part(ok=reason is None, seconds=seconds, reason=reason, value=value)
