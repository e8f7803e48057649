"""Signs the list of revoked certificates whenever one more is revoked."""

from pathlib import Path
from typing import Final

import structlog

from companion.turns import endlessly
from noctis import faults
from noctis.certificates import Authority
from noctis.revocation_lists import refresh
from noctis.storage.database import Database

__all__ = ["Revoking"]

LOOK_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Revoking:
    """Where the CA's key is at hand, keeps the list as the database says.

    ``folder``: of the CA; one that comes later is found. The broker, which must not hold that
    key, fetches the list.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self._database = database
        self._folder = folder
        self._authority: Authority | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        await endlessly("revoking", self._turn, pause_s=LOOK_S)

    async def _turn(self) -> bool:
        authority = self._authority or self._load()
        if authority is None:
            return False
        self._authority = authority
        await faults.apoint("ca.sign")
        if await self._database.call(lambda it: refresh(it, authority)):
            _log.info("revocation_list_signed", ca=authority.certificate.fingerprint)
        return False

    def _load(self) -> Authority | None:
        return Authority.load(self._folder) if Authority.is_in(self._folder) else None
