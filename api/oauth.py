"""What OAuth 2.0 says over the wire (RFC 6749, RFC 7009): forms, answers, errors."""

import base64
import binascii
from collections.abc import Collection
from typing import Any, Final, Literal
from urllib.parse import unquote_plus

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.tokens import LIFETIME_S
from noctis.errors import NoctisError

__all__ = [
    "NO_STORE",
    "REFUSALS",
    "KeySet",
    "OAuthError",
    "OAuthProblem",
    "RevocationRequest",
    "Token",
    "TokenRequest",
    "client_of",
    "oauth_response",
    "scopes_of",
]

NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_SECRET: Final[dict[str, Any]] = {"format": "password"}


class TokenRequest(BaseModel):
    """A form; what is missing is told in OAuth's own words, so nothing is required here."""

    grant_type: str | None = Field(
        None,
        description="`password`, `refresh_token` or `client_credentials`",
        examples=["password"],
    )
    username: str | None = Field(None, description="of a user", examples=["ann@home"])
    password: str | None = Field(None, json_schema_extra=_SECRET)
    refresh_token: str | None = Field(None, json_schema_extra=_SECRET)
    client_id: str | None = Field(None, description="of an app", examples=["phone@home"])
    client_secret: str | None = Field(None, json_schema_extra=_SECRET)
    scope: str | None = Field(None, description="all that the role grants without it")


class Token(BaseModel):
    """An access token, and for a user what gets the next one."""

    access_token: str = Field(examples=["eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiJ9.eyJpc3Mi.c2ln"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - OAuth's word
    expires_in: int = Field(LIFETIME_S, description="seconds", examples=[LIFETIME_S])
    scope: str = Field(examples=["devices:read epochs:read predictions:read"])
    refresh_token: str | None = Field(None, description="good once, for 30 days")


class RevocationRequest(BaseModel):
    """A form; ``token_type_hint`` is not needed and not looked at."""

    token: str | None = Field(None, json_schema_extra=_SECRET)
    token_type_hint: str | None = Field(None, examples=["refresh_token"])


class OAuthProblem(BaseModel):
    """Why there is no token, in OAuth's own words (RFC 6749, section 5.2)."""

    error: str = Field(examples=["invalid_client"])
    error_description: str = Field(examples=["account or password is wrong"])


class KeySet(BaseModel):
    """The public keys that verify our tokens (RFC 7517)."""

    keys: list[dict[str, str]]


class OAuthError(NoctisError):
    """A token request that is refused; ``code`` is OAuth's word for why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": OAuthProblem, "description": "The request makes no sense, or gets no token"},
    401: {"model": OAuthProblem, "description": "The app's account or its secret is wrong"},
}


def oauth_response(_request: Request, error: Exception) -> JSONResponse:
    """Return the response that tells an OAuthError."""
    assert isinstance(error, OAuthError)  # noqa: S101 - registered for this class alone
    headers = dict(NO_STORE)
    if error.code == "invalid_client":
        headers["WWW-Authenticate"] = 'Basic realm="noctis"'
    status = 401 if error.code == "invalid_client" else 400
    document = OAuthProblem(error=error.code, error_description=error.message)
    return JSONResponse(document.model_dump(), status, headers)


def scopes_of(scope: str | None, known: Collection[str]) -> frozenset[str]:
    """Return the scopes that a form asks for, none: whatever there is; raise OAuthError."""
    asked = frozenset((scope or "").split())
    if not asked <= set(known):
        code, detail = "invalid_scope", f"the scopes are {', '.join(sorted(known))}"
        raise OAuthError(code, detail)
    return asked


def client_of(form: TokenRequest, authorization: str | None) -> tuple[str, str]:
    """Return an app's name and secret, from the form or from HTTP Basic; raise OAuthError."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() == "basic":
        if form.client_secret is not None:
            code, detail = "invalid_request", "send the password in one place, not in two"
            raise OAuthError(code, detail)
        return _basic(encoded)
    if not form.client_id or form.client_secret is None:
        code, detail = "invalid_request", "client_id or client_secret is missing"
        raise OAuthError(code, detail)
    return form.client_id, form.client_secret


def _basic(encoded: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, ValueError) as error:
        code, detail = "invalid_client", "the Authorization header cannot be read"
        raise OAuthError(code, detail) from error
    username, _, password = text.partition(":")
    return unquote_plus(username), unquote_plus(password)
