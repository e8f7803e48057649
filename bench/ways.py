"""The ways of a message that are compared, each timed from the first publish to its end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from bench.load import Load
from bench.native import Publisher, Subscriber
from bench.stage import INGESTOR, PASSWORD, Running, Stage, cpu_s, say
from noctis import topics
from noctis.errors import ProcessError
from noctis.storage.arrays import driver
from noctis.storage.engine import transaction
from noctis.storage.models import epochs
from noctis.storage.packing import copy_payload, copy_statement

__all__ = ["Acknowledged", "acknowledged", "bare", "outrun", "raw_copy"]

FILTERS: Final = [f"{topics.ROOT}/up/+/+/+/{channel}" for channel in ("epochs", "backlog")]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A load that the ingestor took: seconds to the last down/ack, its cost, the broker's."""

    seconds: float
    taken_s: float
    cpu_s: float
    broker_cpu_s: float
    unacknowledged: int


def outrun(stage: Stage, load: Load) -> float:
    """Return the seconds until the broker has taken a load that nobody subscribes to."""
    stage.settle()
    publisher = Publisher(stage.broker.port, load.path)
    publisher.go()
    return float(_complete(publisher.result())["taken_s"])


def bare(stage: Stage, load: Load) -> float:
    """Return the seconds until a C program has taken every message with QoS 1."""
    stage.settle()
    subscriber = Subscriber(
        stage.broker.port, INGESTOR, PASSWORD, messages=load.messages, filters=FILTERS
    )
    publisher = Publisher(stage.broker.port, load.path)
    started = time.perf_counter()
    publisher.go()
    subscriber.wait()
    seconds = time.perf_counter() - started
    _complete(publisher.result())
    subscriber.close()
    return seconds


def acknowledged(
    stage: Stage, load: Load, ingestor: Running, *, within_s: float = 0.0
) -> Acknowledged:
    """Let the ingestor store a load; its end is when the devices have heard of every epoch.

    The load is sent evenly over so many seconds, or as fast as the broker takes it.
    """
    stage.settle()
    publisher = Publisher(stage.broker.port, load.path, epochs=load.epochs, seconds=within_s)
    before, broker_before = ingestor.cpu_s(), cpu_s(stage.broker.pid)
    publisher.go()
    told = publisher.result()
    if not told["complete"]:
        say(f"the ingestor stalled: {told}; its log ends: {ingestor.child.tail()}")
    return Acknowledged(
        seconds=told["acked_s"],
        taken_s=told["taken_s"],
        cpu_s=ingestor.cpu_s() - before,
        broker_cpu_s=cpu_s(stage.broker.pid) - broker_before,
        unacknowledged=load.epochs - told["acked"],
    )


def raw_copy(stage: Stage, parts: Sequence[NDArray[np.void]]) -> float:
    """Return the seconds of raw binary COPY into the same table, a transaction a part."""
    payloads = [copy_payload(epochs, part) for part in parts]
    stage.settle()
    started = time.perf_counter()
    for payload in payloads:
        with (
            transaction(stage.engine, 120) as connection,
            driver(connection).cursor().copy(copy_statement(epochs)) as copy,
        ):
            copy.write(payload)
    return time.perf_counter() - started


def _complete(told: dict[str, Any]) -> dict[str, Any]:
    if not told["complete"]:
        message = f"the broker took {told['taken']} of {told['messages']} messages"
        raise ProcessError(message)
    return told
