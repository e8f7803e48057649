"""What takes long and a facade does for us: ordered, and followed to its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cli import profiles
from cli.facade import Facade
from cli.nouns.documents import Document, plain
from cli.output import progress
from noctis.errors import NoctisError

__all__ = ["asked_facade", "order"]

LOOK_S: Final = 1.0
ENDED: Final = ("done", "failed", "cancelled")


@contextmanager
def asked_facade(profile: str | None) -> Iterator[Facade | None]:
    """Yield the facade of the profile in use; None where this machine's own platform is."""
    known = profiles.chosen(profile)
    if known is None:
        yield None
        return
    with Facade(known) as facade:
        yield facade


def order(facade: Facade, path: str, body: Document) -> Document:
    """Order something and return the operation once it is done.

    It goes on should we be cut off. Raises NoctisError where it failed or was cancelled.
    """
    made = facade.ask("POST", path, body=body)
    tenant, told = facade.profile.tenant, ""
    progress(f"ordered; should this be cut off: noctis operation follow {tenant} {made['id']}")
    while made["state"] not in ENDED:
        share = made["progress"]
        total = "?" if share["total"] is None else share["total"]
        line = f"{made['state']}, {share['done']} of {total} {share['unit']}"
        if line != told:
            progress(told := line)
        time.sleep(LOOK_S)
        made = facade.ask("GET", f"/v1/operations/{made['id']}")
    if made["state"] != "done":
        message = f"{made['kind']} {made['id']}: {made['error'] or made['state']}"
        raise NoctisError(message, hint=f"noctis operation resume {tenant} {made['id']}")
    document: Document = plain(made)
    return document
