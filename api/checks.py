"""Readiness: whether each thing that the facade rests on answers, and in time."""

import asyncio
import signal
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Final

import anyio
import anyio.to_thread
import structlog
from prometheus_client import Gauge
from pydantic import BaseModel, Field

from inference.serving import Serving
from noctis import faults
from noctis.errors import ModelError, NoctisError
from noctis.settings import Settings

__all__ = [
    "DEADLINE_S",
    "Answer",
    "Check",
    "Readiness",
    "note_sigterm",
    "probe_broker",
    "probe_model",
]

DEADLINE_S: Final = 2.0
FRESH_S: Final = 1.0
SLOW_S: Final = 0.5
_CONNECT: Final = bytes.fromhex("10 0c 0004 4d515454 04 02 000a 0000")
_CONNACK: Final = 0x20

_REFUSED: Final = "the champion does not load, and another version serves; the log says more"

_log = structlog.get_logger(__name__)
_ok = Gauge(
    "noctis_api_check_ok",
    "1 where the last probe of readiness was answered: database, broker, model.",
    ["check"],
    multiprocess_mode="livemin",
)
_seconds = Gauge(
    "noctis_api_check_seconds",
    "How long the last probe of readiness took.",
    ["check"],
    multiprocess_mode="livemax",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What answers: its version, and what is not as it should be although it does answer."""

    version: str
    degraded: str | None = None


Probe = Callable[[], Awaitable[Answer | None]]
"""Returns what answers, where there is more to say of it; raises where nothing does."""


class Check(BaseModel):
    """What one probe found."""

    ok: bool
    seconds: float = Field(description="how long the probe took")
    reason: str | None = Field(
        None, description="why it is not ok, or what is not as it should be although it is"
    )
    version: str | None = Field(None, description="of the model: which one serves")


class ProbeError(NoctisError):
    """A dependency that answers, but not as it should."""


@dataclass(frozen=True, slots=True)
class _Result:
    at: float
    checks: dict[str, Check]


class Readiness:
    """Runs the probes side by side, each with a deadline; a result stays good for a second.

    So whoever asks often, with or without a good reason, does not load the dependencies.
    """

    def __init__(self, probes: Mapping[str, Probe]) -> None:
        self.draining = False
        self._probes = probes
        self._lock = anyio.Lock()
        self._last: _Result | None = None
        self._states: dict[str, str] = {}

    async def checks(self) -> dict[str, Check]:
        """Return what each probe found."""
        async with self._lock:
            now = time.monotonic()
            if self._last is None or now - self._last.at > FRESH_S:
                self._last = _Result(now, await self._run())
            return self._last.checks

    async def _run(self) -> dict[str, Check]:
        found: dict[str, Check] = {}

        async def run(name: str, probe: Probe) -> None:
            found[name] = await _check(probe)

        async with anyio.create_task_group() as group:
            for name, probe in self._probes.items():
                group.start_soon(run, name, probe)
        for name, check in found.items():
            _ok.labels(name).set(check.ok)
            _seconds.labels(name).set(check.seconds)
            self._log(name, check)
        return {name: found[name] for name in self._probes}

    def _log(self, name: str, check: Check) -> None:
        """Say when a check begins to fail or to take long, and when that is over."""
        state = "failed" if not check.ok else "slow" if check.seconds > SLOW_S else "passed"
        if self._states.get(name, "passed") != state:
            told = _log.info if state == "passed" else _log.warning
            told(f"check_{state}", check=name, seconds=check.seconds, reason=check.reason)
        self._states[name] = state


async def _check(probe: Probe) -> Check:
    started = time.perf_counter()
    reason = answer = None
    try:
        with anyio.fail_after(DEADLINE_S):
            answer = await probe()
    except TimeoutError:
        reason = f"no answer within {DEADLINE_S:.0f} s"
    except OSError:
        reason = "cannot be reached"
    except NoctisError as error:
        reason = error.message
    seconds = round(time.perf_counter() - started, 4)
    if answer is None:
        return Check(ok=reason is None, seconds=seconds, reason=reason)
    return Check(ok=True, seconds=seconds, reason=answer.degraded, version=answer.version)


async def probe_broker(settings: Settings) -> None:
    """Send CONNECT without an account; any CONNACK, a refusal too, shows a broker at work.

    An account of our own would evict another process that uses it, ourselves included.
    Raises OSError when nobody listens and ProbeError when somebody else does.
    """
    context = None
    if settings.broker_ca is not None:
        context = ssl.create_default_context(cafile=settings.broker_ca)
    await faults.apoint("mqtt.probe")
    reader, writer = await asyncio.open_connection(
        settings.broker_host, settings.broker_port, ssl=context
    )
    try:
        writer.write(_CONNECT)
        await writer.drain()
        answer = await reader.read(4)
    finally:
        writer.transport.abort()
    if not answer or answer[0] != _CONNACK:
        message = "what listens there is no MQTT broker"
        raise ProbeError(message)


async def probe_model(serving: Serving) -> Answer:
    """Return which model serves, and whether it is not the champion.

    Raises ProbeError where none could be loaded.
    """
    try:
        model = await anyio.to_thread.run_sync(lambda: serving.model, abandon_on_cancel=True)
    except ModelError as error:
        _log.warning("model_not_ready", error=str(error))
        message = "it is missing or damaged; the log says more"
        raise ProbeError(message) from error
    return Answer(model.full_name, _REFUSED if serving.refusal else None)


def note_sigterm(readiness: Readiness) -> None:
    """Let SIGTERM tell monitors and open streams, too, whichever server runs the facade."""
    former = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or not callable(former):
        return

    def both(number: int, frame: FrameType | None) -> None:
        former(number, frame)
        readiness.draining = True

    signal.signal(signal.SIGTERM, both)
