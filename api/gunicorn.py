"""Hooks of gunicorn, which serves the facade in containers: ``--config=python:api.gunicorn``.

Each worker process logs as all services do. With ``PROMETHEUS_MULTIPROC_DIR`` any of them tells
the measurements of all, and what a worker that has ended held open is forgotten.
"""

import os
from typing import Any

from prometheus_client import multiprocess

from noctis.settings import load
from noctis.telemetry import announce, configure_logging

__all__ = ["child_exit", "post_worker_init"]


def post_worker_init(_worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """Begin a worker."""
    settings = load()
    configure_logging(
        "api", form=settings.log_format, level=settings.log_level, traced=settings.trace
    )
    announce("api")


def child_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - gunicorn's own
    """Forget a worker that has ended."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
