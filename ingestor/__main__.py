"""``python -m ingestor``: store what devices publish."""

import sys

from ingestor.service import Ingestor, link_of
from ingestor.store import DatabaseStore
from noctis import faults
from noctis.errors import NoctisError
from noctis.replica import settings_of
from noctis.settings import Settings
from noctis.storage.database import Database
from noctis.supervise import Service, serve
from noctis.telemetry import configure_logging


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    try:
        settings = settings_of("python -m ingestor", __doc__)
        faults.configure()
    except NoctisError as error:
        sys.stderr.write(f"ingestor: {error}\n")
        return 2
    configure_logging(
        "ingestor",
        form=settings.log_format,
        level=settings.log_level,
        traced=settings.trace,
    )
    return _serve(settings)


def _serve(settings: Settings) -> int:
    database = Database(settings, application="noctis-ingestor", connections=2)
    ingestor = Ingestor(
        link_of(settings),
        DatabaseStore(database, kept=settings.retention),
        shards=settings.shard_set,
    )
    service = Service(
        name="ingestor",
        work=(ingestor.run,),
        ready=lambda: ingestor.ready,
        drain=ingestor.drain,
        degraded=lambda: ingestor.trouble,
        why=lambda: ingestor.session.trouble,
    )
    try:
        return serve(service, settings)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
