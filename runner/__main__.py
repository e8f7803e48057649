"""``python -m runner``: does what callers of the facade ordered and what takes long."""

import sys

from noctis import faults
from noctis.errors import NoctisError
from noctis.replica import settings_of
from noctis.settings import Settings
from noctis.supervise import Service, serve
from noctis.telemetry import configure_logging
from runner.service import Runner


def main() -> int:
    """Run until SIGTERM; 2 for settings that make no sense, 1 for anything else."""
    try:
        settings = settings_of("python -m runner", __doc__)
        faults.configure()
    except NoctisError as error:
        sys.stderr.write(f"runner: {error}\n")
        return 2
    configure_logging("runner", form=settings.log_format, level=settings.log_level)
    return _serve(settings)


def _serve(settings: Settings) -> int:
    runner = Runner(settings)
    service = Service(
        name="runner", work=(runner.run,), ready=lambda: runner.ready, drain=runner.drain
    )
    try:
        return serve(service, settings)
    finally:
        runner.close()


if __name__ == "__main__":
    sys.exit(main())
