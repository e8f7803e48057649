"""The facade of this machine, asked by who holds the key that signs its tokens."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from typing_extensions import override

from api.scopes import PREDICTIONS_READ
from api.tokens import LIFETIME_S, Keyring
from cli.facade import Facade
from cli.local import operator, run_file
from cli.profiles import LOCAL, Profile
from noctis import settings
from noctis.identity import Principal

__all__ = ["OwnFacade"]

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - read, not bound


class OwnFacade(Facade):
    """The facade of this machine's platform, which lets its operator see a tenant's stages.

    ``of`` returns None where there is no key to sign with: nobody runs a facade here.
    """

    @classmethod
    def of(cls, var: Path, tenant: str) -> "OwnFacade | None":
        """Return the facade of the platform that runs on ``var``, else as the settings say."""
        keys = var / "keys"
        if not any(keys.glob("*.pem")):
            return None
        asked = Profile(LOCAL, _address(var), f"operator@{tenant}", "app", "", 0.0)
        return cls(asked, keys, tenant)

    def __init__(self, profile: Profile, keys: Path, tenant: str) -> None:
        super().__init__(profile)
        self._keys = keys
        self._who = Principal(operator(), tenant, frozenset({PREDICTIONS_READ}))

    @override
    def _renew(self, stale: str) -> None:
        """Sign another token."""
        token = Keyring(self._keys).issue(self._who)
        ends = time.time() + LIFETIME_S
        self.profile = replace(self.profile, access_token=token, expires_at=ends)


def _address(var: Path) -> str:
    try:
        url: str = json.loads(run_file(var).read_text("utf-8"))["api"]
    except (OSError, ValueError, KeyError):
        chosen = settings.load()
        host = _EVERYWHERE.get(chosen.api_host, chosen.api_host)
        return f"http://{host}:{chosen.api_port}"
    return url
