"""``python -m inference``: tell live stages, and settle what is stored."""

import sys
from typing import Final

from inference.serving import active
from inference.worker import CONNECTIONS, KIND, Worker, link_of
from noctis import faults
from noctis.errors import ModelError, NoctisError
from noctis.replica import app_link, settings_of
from noctis.settings import Settings
from noctis.storage.database import Database
from noctis.supervise import Service, serve
from noctis.telemetry import configure_logging

# The settler computes in a thread; the live worker must not wait 5 ms for each turn of it.
SWITCH_S: Final = 0.0005


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    try:
        settings = settings_of("python -m inference", __doc__)
        faults.configure()
    except NoctisError as error:
        sys.stderr.write(f"inference: {error}\n")
        return 2
    configure_logging(
        "inference",
        form=settings.log_format,
        level=settings.log_level,
        traced=settings.trace,
    )
    sys.setswitchinterval(SWITCH_S)
    try:
        return _serve(settings)
    except ModelError as error:
        sys.stderr.write(f"inference: {error}\n")
        return 1


def _serve(settings: Settings) -> int:
    serving = active(settings, service="inference")
    database = Database(settings, application="noctis-inference", connections=CONNECTIONS)
    worker = Worker(
        link_of(settings),
        app_link(settings, KIND),
        database,
        serving,
        settings.shard_set,
        models=settings.models,
    )
    service = Service(
        name="inference",
        work=(worker.run,),
        ready=lambda: worker.ready,
        drain=worker.drain,
        why=lambda: worker.trouble,
        degraded=lambda: str(serving.refusal) if serving.refusal else None,
    )
    try:
        return serve(service, settings)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
