"""The embedded platform's broker, watched: its accounts kept right, its metrics told."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from broker.census import Census
from broker.measures import Measures
from broker.server import MosquittoServer
from broker.service import Access, access
from noctis import disks
from noctis.childproc import free_port
from noctis.errors import NoctisError, ProcessError, StorageUnavailableError
from noctis.storage.engine import Engine, transaction
from noctis.supervise import Service, answering

__all__ = ["BrokerWatch"]


class BrokerWatch:
    """Does for a broker of this process what ``python -m broker`` does for its own.

    ``known``: the accounts that it was started with. ``renew`` makes its next certificate where
    this one is about to end, and tells whether that was so.
    """

    def __init__(
        self,
        server: MosquittoServer,
        engine: Engine,
        known: Access,
        var: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._server = server
        self._engine = engine
        self._access = known
        self.renew: Callable[[], bool] = lambda: False
        self._renewals = server.renewals
        self._tell = tell
        self._measures = Measures(server)
        self._ends = ExitStack()
        self._var = var

    def start(self) -> int:
        """Answer monitors on the port that is returned, and listen to what the broker tells."""
        port = free_port()
        service = Service(
            name="broker",
            work=(),
            ready=lambda: self._server.running,
            drain=_nothing,
            why=lambda: "Mosquitto does not run",
        )
        disks.watch(self._var)
        self._ends.enter_context(answering(service, port))
        census = Census(self._server.monitor)
        census.start(self._server.port)
        self._ends.callback(census.stop)
        return port

    def follow(self) -> None:
        """Bring accounts, and certificates, that are new or revoked into the running broker."""
        self._renew_certificate()
        try:
            with transaction(self._engine, seconds=5) as connection:
                current = access(connection)
            renewals = self._server.renewals
            if (current, renewals) != (self._access, self._renewals):
                self._server.reload(*current)
                self._access, self._renewals = current, renewals
            self._measures.synced()
        except StorageUnavailableError:
            pass  # it is being started again
        except ProcessError as error:
            self._tell(f"the broker's accounts wait: {error}")
        self._measures.count(len(self._access[0]))

    def _renew_certificate(self) -> None:
        """Let no platform that runs for years be cut off by the end of its own certificate."""
        try:
            if self.renew():
                self._tell("the certificate for the home network was about to end: a new one")
        except (NoctisError, OSError) as error:
            self._tell(f"the certificate for the home network cannot be renewed: {error}")

    def stop(self) -> None:
        """Answer and listen no more."""
        self._ends.close()


async def _nothing() -> None:
    """Finish what is in hand: there is nothing."""
