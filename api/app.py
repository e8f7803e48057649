"""The facade, put together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

import anyio
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api import oauth, problems
from api.checks import DEADLINE_S, Answer, Readiness, note_sigterm, probe_broker, probe_model
from api.deps import State
from api.desk import Desk
from api.ingesting import Sent
from api.limits import Limits
from api.live import Live
from api.logins import Logins
from api.middleware import BodyLimit, Measure
from api.problems import Problem
from api.routes import (
    apps,
    auth,
    configs,
    devices,
    epochs,
    health,
    hypnograms,
    ingest,
    lifecycle,
    orders,
    predict,
    provisioning,
    recordings,
    users,
)
from api.standing import Standing
from api.tokens import Keyring
from inference.serving import Serving
from noctis import faults
from noctis.settings import Settings, load
from noctis.storage.database import Database, ping
from noctis.storage.quotas import Quota

__all__ = ["create_app"]

CONNECTIONS: Final = 5
_DESCRIPTION: Final = """\
Epochs and sleep stages of your devices.

Get a token with the account of a user or an app (`POST /v1/auth/token`) and send it as
`Authorization: Bearer …`. It speaks for one tenant; what belongs to another is not found.
Errors are `application/problem+json` (RFC 9457), those of the token endpoint OAuth's own.
Lists come in pages: while an answer has a `next_page_token`, send it as `page_token`, with
the other parameters as they were.
"""
_ROUTES: Final = (
    health,
    auth,
    devices,
    provisioning,
    configs,
    orders,
    epochs,
    ingest,
    lifecycle,
    predict,
    users,
    recordings,
    hypnograms,
    apps,
)
_TAGS: Final = [
    {"name": "auth", "description": "Access tokens"},
    {"name": "users", "description": "Who may ask, and for what"},
    {"name": "devices", "description": "Devices, their epochs and their stages"},
    {"name": "labels", "description": "Reference stages of devices"},
    {"name": "evaluation", "description": "Versions held against reference stages"},
    {"name": "experiments", "description": "Versions beside the champion"},
    {"name": "replay", "description": "Stored epochs through another version"},
    {"name": "operations", "description": "What takes long: how far it is, its result"},
    {"name": "drift", "description": "Whether devices send what the model was trained on"},
    {"name": "models", "description": "The platform's models and their versions"},
    {"name": "recordings", "description": "Nights, their figures and hypnograms"},
    {"name": "predict", "description": "Stages on request"},
    {"name": "health", "description": "For monitors; no token"},
]


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the facade, as uvicorn or gunicorn (``api.app:create_app()``) serve it.

    Nothing is connected yet, so it starts, and says what is missing, without a database.
    """
    settings = settings or load()
    faults.configure()
    database = Database(settings, application="noctis-api", connections=CONNECTIONS)
    serving = Serving(settings.models)
    standing = Standing(database, _default_quota(settings))
    live = Live(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        note_sigterm(app.state.noctis.readiness)
        async with anyio.create_task_group() as group:
            group.start_soon(serving.run)
            group.start_soon(standing.run)
            group.start_soon(live.run)
            yield
            group.cancel_scope.cancel()
        database.close()

    app = FastAPI(
        title="Noctis",
        version=version("noctis"),
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        openapi_url="/v1/openapi.json",
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.noctis = State(
        database=database,
        keyring=Keyring(settings.token_keys),
        logins=Logins(database),
        serving=serving,
        readiness=_readiness(settings, database, serving),
        settings=settings,
        desk=Desk(serving),
        standing=standing,
        limits=Limits(standing, settings.api_workers),
        live=live,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(Measure)
    problems.install(app)
    app.add_exception_handler(oauth.OAuthError, oauth.oauth_response)
    for routes in _ROUTES:
        app.include_router(routes.router)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own recipe
    return app


def _default_quota(settings: Settings) -> Quota:
    """Return what a tenant may ask for of whom nothing is said; None: as much as it likes."""
    return Quota(
        requests_per_second=settings.api_requests_per_second or None,
        burst=settings.api_burst,
        epochs_per_minute=settings.api_epochs_per_minute or None,
        devices=settings.api_devices or None,
    )


def _readiness(settings: Settings, database: Database, serving: Serving) -> Readiness:
    async def probe_database() -> None:
        await database.call(ping, within_s=DEADLINE_S)

    async def probe_its_broker() -> None:
        await probe_broker(settings)

    async def probe_its_model() -> Answer:
        return await probe_model(serving)

    return Readiness(
        {"database": probe_database, "broker": probe_its_broker, "model": probe_its_model}
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the description of the API, made once, with the problems' schema in it."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
        schemas = schema["components"]["schemas"]
        for model in (Problem, Sent):  # FastAPI does not see these in any route
            made = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= {**made.pop("$defs"), model.__name__: made}
        app.openapi_schema = schema
    return app.openapi_schema
