"""What all listeners have in common: middleware, problems, the description, quotas, probes."""

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

from api import oauth, problems
from api.checks import DEADLINE_S, Probe
from api.deps import State
from api.describing import describe
from api.middleware import BodyLimit, Measure
from api.problems import Problem
from api.routes.page import docs
from noctis.settings import Settings
from noctis.storage.database import Database, ping
from noctis.storage.quotas import Quota

__all__ = ["assemble", "default_quota", "probe_database"]


def assemble(
    app: FastAPI,
    state: State,
    routers: Iterable[APIRouter],
    schemas: Iterable[type[BaseModel]] = (),
) -> FastAPI:
    """Return the application with its state, its routes and what surrounds all of them.

    ``schemas`` are models that its description shows although no route names them.
    """
    app.state.noctis = state
    app.add_middleware(BodyLimit)
    app.add_middleware(Measure, readiness=state.readiness)
    problems.install(app)
    app.add_exception_handler(oauth.OAuthError, oauth.oauth_response)
    for router in (*routers, docs):
        app.include_router(router)
    shown: list[type[BaseModel]] = [Problem, *schemas]
    app.openapi = lambda: _openapi(app, shown)  # type: ignore[method-assign]  # its own recipe
    return app


def default_quota(settings: Settings) -> Quota:
    """Return what a tenant may ask for of whom nothing is said; None: as much as it likes."""
    return Quota(
        requests_per_second=settings.api_requests_per_second or None,
        burst=settings.api_burst,
        epochs_per_minute=settings.api_epochs_per_minute or None,
        devices=settings.api_devices or None,
    )


def probe_database(database: Database) -> Probe:
    """Return the probe that asks the database for a sign of life."""

    async def probe() -> None:
        await database.call(ping, within_s=DEADLINE_S)

    return probe


def _openapi(app: FastAPI, shown: Sequence[type[BaseModel]]) -> dict[str, Any]:
    """Return the description of the API, made once, with the scopes of this listener."""
    if app.openapi_schema is None:
        app.openapi_schema = describe(app, extra=shown)
        scopes = dict(app.state.noctis.logins.scopes)
        schemes = app.openapi_schema["components"]["securitySchemes"]
        for flow in schemes["token"]["flows"].values():
            flow["scopes"] = scopes
    return app.openapi_schema
