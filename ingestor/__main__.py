"""``python -m ingestor``: store what devices publish."""

import argparse
import sys

from ingestor.service import Ingestor, link_of
from ingestor.store import DatabaseStore
from noctis import faults
from noctis import settings as settings_module
from noctis.errors import NoctisError
from noctis.settings import Settings, parse_shards
from noctis.storage.database import Database
from noctis.supervise import Service, run
from noctis.telemetry import configure_logging


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    parser = argparse.ArgumentParser(prog="python -m ingestor", description=__doc__)
    parser.add_argument("--shards", help="the shards to store: 0-63, 0-31 or 0,5,9")
    arguments = parser.parse_args()
    try:
        settings = settings_module.load()
        faults.configure()
        shards = parse_shards(arguments.shards) if arguments.shards else settings.shard_set
    except NoctisError as error:
        sys.stderr.write(f"ingestor: {error}\n")
        return 2
    configure_logging("ingestor", form=settings.log_format, level=settings.log_level)
    return _serve(settings, shards)


def _serve(settings: Settings, shards: frozenset[int]) -> int:
    database = Database(settings, application="noctis-ingestor", connections=2)
    ingestor = Ingestor(link_of(settings), DatabaseStore(database), shards=shards)
    service = Service(
        name="ingestor",
        work=(ingestor.run,),
        ready=lambda: ingestor.ready,
        drain=ingestor.drain,
    )
    failures: list[str] = []
    try:
        run(service, metrics_port=settings.metrics_port)
    except* NoctisError as group:
        failures = [str(failure) for failure in group.exceptions]
    finally:
        database.close()
    sys.stderr.writelines(f"ingestor: {failure}\n" for failure in failures)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
