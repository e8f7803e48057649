"""What routes ask for: the caller, the database, the keys, what holds the model."""

from dataclasses import dataclass
from typing import Annotated, Final, cast

from fastapi import Request, Security
from fastapi.openapi.models import (
    OAuthFlowClientCredentials,
    OAuthFlowPassword,
    OAuthFlows,
)
from fastapi.security import OAuth2, SecurityScopes

from api.catalogue import Catalogue
from api.checks import Readiness
from api.desk import Desk
from api.limits import Limits
from api.live import Live
from api.logins import Logins
from api.problems import ProblemError
from api.scopes import SCOPES
from api.standing import Standing
from api.tokens import Keyring, TokenError
from inference.serving import Serving
from noctis.audit import origin
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage.database import Database

__all__ = [
    "FacadeState",
    "State",
    "caller",
    "catalogue",
    "check_token",
    "database",
    "desk",
    "keyring",
    "limits",
    "live",
    "logins",
    "platform",
    "readiness",
    "serving",
    "settings",
]


@dataclass(frozen=True, slots=True)
class State:
    """What each listener is made of; ``app.state.noctis``."""

    database: Database
    keyring: Keyring
    logins: Logins
    readiness: Readiness
    settings: Settings
    standing: Standing
    limits: Limits


@dataclass(frozen=True, slots=True)
class FacadeState(State):
    """What the facade is made of besides."""

    serving: Serving
    desk: Desk
    live: Live


# FastAPI runs what is no coroutine in a thread, and a thread's turn costs more than all these.


def _state(request: Request) -> State:
    return cast("State", request.app.state.noctis)


def _facade(request: Request) -> FacadeState:
    return cast("FacadeState", request.app.state.noctis)


async def database(request: Request) -> Database:
    """Return the database as the caller's tenant sees it: a forgotten condition shows nothing.

    Without a caller it is empty.
    """
    return _state(request).database.of(lambda: getattr(request.state, "tenant", ""))


async def platform(request: Request) -> Database:
    """Return the database of all tenants, for what belongs to none of them.

    Whoever asks for it is named, with the reason, in ``tests/unit/test_tenancy.py``.
    """
    return _state(request).database


async def keyring(request: Request) -> Keyring:
    """Return the keys that sign tokens."""
    return _state(request).keyring


async def logins(request: Request) -> Logins:
    """Return who may log in."""
    return _state(request).logins


async def serving(request: Request) -> Serving:
    """Return what holds the model in use; its ``model`` is the champion of this moment."""
    return _facade(request).serving


async def desk(request: Request) -> Desk:
    """Return who asks the model in use."""
    return _facade(request).desk


async def settings(request: Request) -> Settings:
    """Return the settings of this process."""
    return _state(request).settings


async def catalogue(request: Request) -> Catalogue:
    """Return the registry's models."""
    return Catalogue(_state(request).settings.models)


async def readiness(request: Request) -> Readiness:
    """Return the state of what this listener rests on."""
    return _state(request).readiness


TOKEN_URL: Final = "/v1/auth/token"  # noqa: S105 - an address
_oauth = OAuth2(
    flows=OAuthFlows(
        password=OAuthFlowPassword(tokenUrl=TOKEN_URL, refreshUrl=TOKEN_URL, scopes=SCOPES),
        clientCredentials=OAuthFlowClientCredentials(tokenUrl=TOKEN_URL, scopes=SCOPES),
    ),
    scheme_name="token",
    description="A token of 15 minutes, for the account of a user or of an app "
    "(`name@tenant`) and its password. Which scopes it may have is up to the account's role.",
    auto_error=False,
)


async def limits(request: Request) -> Limits:
    """Return how much each tenant may ask for."""
    return _state(request).limits


def _check_standing(request: Request, principal: Principal, issued_at: float) -> None:
    if _state(request).standing.is_void(principal, issued_at):
        message = "what this token says was taken back"
        raise TokenError(message, hint="get one from POST /v1/auth/token")


def check_token(request: Request, token: str) -> Principal:
    """Return whom a token speaks for; raise TokenError when it does not, or does no more."""
    principal, issued_at = _state(request).keyring.read(token)
    _check_standing(request, principal, issued_at)
    return principal


async def live(request: Request) -> Live:
    """Return what hears the live stages."""
    return _facade(request).live


async def caller(
    asked: SecurityScopes,
    request: Request,
    authorization: Annotated[str | None, Security(_oauth)],
) -> Principal:
    """Return whom the request's token speaks for.

    Raises ProblemError 401 without a good token, and 403 where it lacks a scope. The tenant
    is the token's; nothing else in a request can name one.
    """
    if len(request.headers.getlist("Authorization")) > 1:
        # Which of them a proxy looked at is anybody's guess.
        raise ProblemError(400, "send one Authorization header, not several", kind="token")
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        challenge = {"WWW-Authenticate": 'Bearer realm="noctis"'}
        detail = "this needs a token; get one from POST /v1/auth/token"
        raise ProblemError(401, detail, kind="no-token", headers=challenge)
    try:
        principal = check_token(request, token.strip())
    except TokenError as error:
        challenge = {"WWW-Authenticate": 'Bearer realm="noctis", error="invalid_token"'}
        raise ProblemError(401, str(error), kind="token", headers=challenge) from error
    missing = [scope for scope in asked.scopes if scope not in principal.scopes]
    if missing:
        needed = f'error="insufficient_scope", scope="{asked.scope_str}"'
        challenge = {"WWW-Authenticate": f'Bearer realm="noctis", {needed}'}
        detail = f"the token lacks {', '.join(missing)}"
        raise ProblemError(403, detail, kind="scope", headers=challenge)
    request.state.rate_limit = _state(request).limits.request(principal.tenant)
    request.state.tenant = principal.tenant
    origin.set(request.client.host if request.client else "")
    return principal
