"""``/internal``, put together: a listener of its own, beside the facade and not part of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import anyio
from fastapi import FastAPI

from api.assembly import assemble, default_quota, probe_database
from api.checks import Readiness, note_sigterm
from api.deps import State
from api.guesses import Guesses
from api.internal.routes import audit, monitoring, performance, resilience, stress, timescale
from api.limits import Limits
from api.logins import Logins
from api.routes import auth, health
from api.scopes import INTERNAL_SCOPES, granted_internally
from api.standing import Standing
from api.tokens import INTERNAL_AUDIENCE, Keyring
from noctis import faults
from noctis.settings import Settings, load
from noctis.steering import Steering
from noctis.storage.database import Database

__all__ = ["create_internal_app"]

CONNECTIONS: Final = 4
_DESCRIPTION: Final = """\
How the whole platform fares, and what it bears. For its operators, on a network of theirs.

Get a token here, not at the facade, with the account of a user whose role is `platform`
(`POST /v1/auth/token`), or on the platform's own machine with `noctis key token`. Tokens of the
facade are good for nothing here, nor these there. Errors are `application/problem+json`.
"""
_ROUTES: Final = (health, auth, monitoring, performance, stress, resilience, timescale, audit)
_TAGS: Final = [
    {"name": "auth", "description": "Access tokens for this listener."},
    {"name": "monitoring", "description": "How each tenant, service and model stands."},
    {"name": "performance", "description": "How fast each stage of the line is, and its flow."},
    {"name": "stress", "description": "Loads, to see what the platform bears."},
    {"name": "resilience", "description": "Breakers, and faults that are made to happen."},
    {"name": "timescale", "description": "Sizes, chunks, policies and jobs of the database."},
    {"name": "audit", "description": "Who did what, in a chain that can be verified."},
    {"name": "health", "description": "For monitors; no token."},
]


def create_internal_app(settings: Settings | None = None) -> FastAPI:
    """Return ``/internal``; it starts without a database, and tells that it is missing."""
    settings = settings or load()
    faults.configure()
    app = FastAPI(
        title="Noctis internal",
        version=version("noctis"),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=_lifespan,
        openapi_url="/internal/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    return assemble(app, _state(settings), [it.router for it in _ROUTES])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow whose tokens are void for as long as the app serves."""
    state: State = app.state.noctis
    note_sigterm(state.readiness)
    with Steering(state.settings, "internal"):
        async with anyio.create_task_group() as group:
            group.start_soon(state.standing.run)
            yield
            group.cancel_scope.cancel()
    state.database.close()


def _state(settings: Settings) -> State:
    """Return what it is made of, connected to nothing yet."""
    database = Database(settings, application="noctis-internal", connections=CONNECTIONS)
    standing = Standing(database, default_quota(settings))
    return State(
        database=database,
        keyring=Keyring(settings.token_keys, audience=INTERNAL_AUDIENCE),
        logins=Logins(database, Guesses(), scopes=INTERNAL_SCOPES, grants=granted_internally),
        readiness=Readiness({"database": probe_database(database)}),
        settings=settings,
        standing=standing,
        limits=Limits(standing),
    )
