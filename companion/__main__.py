"""``python -m companion``: what people see besides the live stage."""

import sys

from companion.service import CONNECTIONS, Companion, link_of
from noctis import faults
from noctis.errors import NoctisError
from noctis.replica import app_link, settings_of
from noctis.settings import Settings
from noctis.storage.database import Database
from noctis.supervise import Service, serve
from noctis.telemetry import configure_logging


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    try:
        settings = settings_of("python -m companion", __doc__)
        faults.configure()
    except NoctisError as error:
        sys.stderr.write(f"companion: {error}\n")
        return 2
    configure_logging("companion", form=settings.log_format, level=settings.log_level)
    return _serve(settings)


def _serve(settings: Settings) -> int:
    database = Database(settings, application="noctis-companion", connections=CONNECTIONS)
    companion = Companion(
        link_of(settings),
        database,
        settings.shard_set,
        apps=app_link(settings, "companion"),
        kept=settings.retention,
        operations_kept=settings.operations_kept,
        models=settings.models,
        night_stager=settings.night_stager,
        ca=settings.ca_folder,
    )
    service = Service(
        name="companion",
        work=(companion.run,),
        ready=lambda: companion.ready,
        drain=companion.drain,
        why=lambda: companion.session.trouble,
    )
    try:
        return serve(service, settings)
    finally:
        database.close()


if __name__ == "__main__":
    sys.exit(main())
