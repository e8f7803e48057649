"""The facade, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Final

import anyio
from fastapi import FastAPI

from api.assembly import assemble, default_quota, probe_database
from api.checks import Answer, Readiness, note_sigterm, probe_broker, probe_model
from api.deps import FacadeState
from api.desk import Desk
from api.guesses import Guesses
from api.images import ImageDoor
from api.ingesting import Sent
from api.limits import Limits
from api.live import Live
from api.logins import Logins
from api.routes import (
    alerts,
    apps,
    auth,
    configs,
    declarations,
    devices,
    epochs,
    firmware,
    health,
    hypnograms,
    ingest,
    lifecycle,
    nudges,
    orders,
    page,
    predict,
    provisioning,
    recordings,
    trends,
    users,
)
from api.standing import Standing
from api.tokens import Keyring
from inference.serving import Serving
from noctis import faults
from noctis.settings import Settings, load
from noctis.steering import Steering
from noctis.storage.database import Database

__all__ = ["create_app"]

CONNECTIONS: Final = 5
_DESCRIPTION: Final = """\
**Tokens.** Get one with the account of a user or an app (`POST /v1/auth/token`) and send it as
`Authorization: Bearer …`. It speaks for one tenant; what belongs to another is not found.

**Problems.** Errors are `application/problem+json` (RFC 9457). `type` tells the kinds apart and
never changes its meaning; each operation lists those that it may answer with. The token
endpoint's own errors are OAuth's.

**Pages.** A list comes in pages of `page_size` entries (100, at most 1000). While an answer has
a `next_page_token`, send it as `page_token`, with the other parameters as they were.

**Limits.** `RateLimit-Policy` says how often a tenant may ask, `RateLimit` how much of it is
left. Past it, and where too much is asked at once, comes 429 with `Retry-After` in seconds.

**Changes.** What several may change at once has an `ETag`: send it as `If-Match`. What takes
long is an operation: 202, and `Location` says where to ask how far it is.
"""
_ROUTES: Final = (
    health,
    auth,
    devices,
    provisioning,
    configs,
    orders,
    firmware,
    nudges,
    epochs,
    ingest,
    lifecycle,
    predict,
    users,
    recordings,
    declarations,
    hypnograms,
    trends,
    apps,
    page,
    alerts,
)
_TAGS: Final = [
    {"name": "auth", "description": "Get, renew and give back tokens; verify them elsewhere."},
    {"name": "users", "description": "Who may ask, and for what: people and apps."},
    {
        "name": "devices",
        "description": "Devices: provision, configure, command, update, revoke, erase.",
    },
    {
        "name": "epochs",
        "description": "What devices measured, 30 s each, and its stages: stored, sent, live.",
    },
    {"name": "recordings", "description": "Nights, their figures and hypnograms."},
    {"name": "alerts", "description": "What is wrong with devices; not a medical alarm."},
    {"name": "predict", "description": "Stages on request, and why the model says them."},
    {"name": "labels", "description": "Reference stages, scored elsewhere."},
    {"name": "models", "description": "The platform's models, their versions and aliases."},
    {"name": "evaluation", "description": "Versions held against reference stages."},
    {"name": "experiments", "description": "Versions that run beside the champion."},
    {"name": "replay", "description": "Stored epochs through another version."},
    {"name": "drift", "description": "Whether devices send what the model was trained on."},
    {"name": "operations", "description": "What takes long: how far it is, what came of it."},
    {"name": "health", "description": "For monitors; no token."},
]
_SERVERS: Final = [
    {"url": "/", "description": "where this description comes from"},
    {"url": "http://127.0.0.1:8000", "description": "`noctis up`"},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the facade, as uvicorn or gunicorn (``api.worker``) serve it.

    Nothing is connected yet, so it starts, and says what is missing, without a database.
    """
    settings = settings or load()
    faults.configure()
    app = FastAPI(
        title="Noctis",
        version=version("noctis"),
        summary="Epochs and sleep stages of your devices.",
        description=_DESCRIPTION,
        contact={"name": "whoever runs this platform"},
        license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        servers=_SERVERS,
        openapi_tags=_TAGS,
        lifespan=_lifespan,
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.images = ImageDoor(settings)
    return assemble(app, _state(settings), [it.router for it in _ROUTES], [Sent])


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Follow the champion, who may ask, and the broker, for as long as the app serves."""
    state: FacadeState = app.state.noctis
    note_sigterm(state.readiness)
    with Steering(state.settings, "api"):
        async with anyio.create_task_group() as group:
            group.start_soon(state.serving.run)
            group.start_soon(state.standing.run)
            group.start_soon(state.live.run)
            group.start_soon(app.state.images.run, app)
            yield
            group.cancel_scope.cancel()
    state.database.close()


def _state(settings: Settings) -> FacadeState:
    """Return what the facade is made of, connected to nothing yet."""
    database = Database(settings, application="noctis-api", connections=CONNECTIONS)
    serving = Serving(settings.models, service="api")
    standing = Standing(database, default_quota(settings))
    return FacadeState(
        database=database,
        keyring=Keyring(settings.token_keys),
        logins=Logins(database, Guesses(workers=settings.api_workers)),
        serving=serving,
        readiness=_readiness(settings, database, serving),
        settings=settings,
        desk=Desk(serving),
        standing=standing,
        limits=Limits(standing, settings.api_workers),
        live=Live(settings),
    )


def _readiness(settings: Settings, database: Database, serving: Serving) -> Readiness:
    async def probe_its_broker() -> None:
        await probe_broker(settings)

    async def probe_its_model() -> Answer:
        return await probe_model(serving)

    return Readiness(
        {
            "database": probe_database(database),
            "broker": probe_its_broker,
            "model": probe_its_model,
        }
    )
