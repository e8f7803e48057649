"""Access tokens for apps: OAuth 2.0 client credentials (RFC 6749)."""

import base64
import binascii
from typing import Annotated, Any, Final, Literal
from urllib.parse import unquote_plus

from fastapi import APIRouter, Depends, Form, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from api.deps import Logins, keyring, logins
from api.problems import documented
from api.scopes import APP_SCOPES
from api.tokens import LIFETIME_S, Keyring
from noctis.errors import NoctisError
from noctis.identity import Principal

__all__ = ["router"]

router = APIRouter(prefix="/v1/auth", tags=["auth"])
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class TokenRequest(BaseModel):
    """A form; what is missing is told in OAuth's own words, so nothing is required here."""

    grant_type: str | None = Field(None, examples=["client_credentials"])
    client_id: str | None = Field(None, examples=["phone@home"])
    client_secret: str | None = Field(None, json_schema_extra={"format": "password"})
    scope: str | None = Field(None, description="all scopes without it")


class Token(BaseModel):
    """An access token."""

    access_token: str = Field(examples=["eyJhbGciOiJFZERTQSIsImtpZCI6Ii4uLiJ9.eyJpc3Mi.c2ln"])
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - OAuth's word
    expires_in: int = Field(LIFETIME_S, description="seconds", examples=[LIFETIME_S])
    scope: str = Field(examples=["devices:read epochs:read predictions:read"])


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


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": OAuthProblem, "description": "The request makes no sense"},
    401: {"model": OAuthProblem, "description": "Account or password is wrong"},
}


def oauth_response(_request: Request, error: Exception) -> JSONResponse:
    """Return the response that tells an OAuthError."""
    assert isinstance(error, OAuthError)  # noqa: S101 - registered for this class alone
    headers = dict(_NO_STORE)
    if error.code == "invalid_client":
        headers["WWW-Authenticate"] = 'Basic realm="noctis"'
    status = 401 if error.code == "invalid_client" else 400
    document = OAuthProblem(error=error.code, error_description=error.message)
    return JSONResponse(document.model_dump(), status, headers)


@router.post(
    "/token",
    operation_id="createToken",
    summary="Get an access token",
    responses={**_REFUSALS, **documented(413, 422, 429, 503, 504)},
)
async def create_token(
    keys: Annotated[Keyring, Depends(keyring)],
    accounts: Annotated[Logins, Depends(logins)],
    form: Annotated[TokenRequest, Form()],
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Token:
    """Exchange an app's account ``app@tenant`` and its password for a token of 15 minutes.

    Name and password come in the form, or as HTTP Basic.
    """
    if form.grant_type != "client_credentials":
        code = "invalid_request" if form.grant_type is None else "unsupported_grant_type"
        raise OAuthError(code, "grant_type must be client_credentials")
    username, password = _credentials(form, authorization)
    granted = _granted(form.scope)
    tenant = await accounts.tenant_of(username, password)
    if tenant is None:
        code, detail = "invalid_client", "account or password is wrong"
        raise OAuthError(code, detail)
    token = keys.issue(Principal(username, tenant, granted))
    return Token(access_token=token, scope=" ".join(sorted(granted)))


@router.get(
    "/jwks.json", operation_id="getKeys", summary="The public keys that verify our tokens"
)
def get_keys(keys: Annotated[Keyring, Depends(keyring)], response: Response) -> KeySet:
    """Return a JSON Web Key Set; while keys are rotated it holds two."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return KeySet.model_validate(keys.jwks())


def _credentials(form: TokenRequest, authorization: str | None) -> tuple[str, str]:
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
    except (binascii.Error, UnicodeDecodeError) as error:
        code, detail = "invalid_client", "the Authorization header cannot be read"
        raise OAuthError(code, detail) from error
    username, _, password = text.partition(":")
    return unquote_plus(username), unquote_plus(password)


def _granted(scope: str | None) -> frozenset[str]:
    asked = frozenset((scope or "").split())
    if not asked <= APP_SCOPES.keys():
        code, detail = "invalid_scope", f"the scopes are {', '.join(sorted(APP_SCOPES))}"
        raise OAuthError(code, detail)
    return asked or frozenset(APP_SCOPES)
