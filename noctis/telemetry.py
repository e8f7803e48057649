"""What a service tells of itself: logs, as lines for people or JSON, and what it is."""

import logging
import sys
from importlib.metadata import version
from typing import Literal

import structlog
from prometheus_client import Gauge

from noctis import trace

__all__ = ["announce", "configure_logging"]

Format = Literal["console", "json"]

_build = Gauge(
    "noctis_build_info",
    "1; the labels say which service of which version this is.",
    ["service", "version"],
    multiprocess_mode="livemax",
)


def announce(service: str) -> None:
    """Tell monitors which service of which version runs."""
    _build.labels(service, version("noctis")).set(1)


def configure_logging(
    service: str, *, form: Format = "console", level: str = "info", traced: str = ""
) -> None:
    """Send structlog's and the standard library's records to stderr, as lines or as JSON.

    ``traced``: the devices whose epochs are followed (``noctis.trace``).

    Every record carries ``service``, a level and a UTC time stamp; secrets are never logged.
    """
    trace.follow(traced)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # local variables hold secrets
        )
    )
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, last]
        if form == "json"
        else [*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # A line is one write: processes that share a log do not tangle theirs.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(
        stream=sys.stderr,
        level=max(number, logging.WARNING),
        format="%(asctime)s [%(levelname)s] %(name)s: %(message)s",
        force=True,
    )
