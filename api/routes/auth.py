"""Access tokens by OAuth 2.0: for users, for apps, and again without a password."""

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from pydantic import Field

from api.bodies import Body
from api.deps import keyring, logins
from api.logins import Login, Logins, Refused
from api.oauth import (
    NO_STORE,
    REFUSALS,
    KeySet,
    OAuthError,
    RevocationRequest,
    Token,
    TokenRequest,
    client_of,
    scopes_of,
)
from api.problems import ProblemError, documented, invalid
from api.tokens import Keyring
from noctis.passphrases import FEWEST, MOST, PassphraseError

__all__ = ["router"]

router = APIRouter(prefix="/v1/auth", tags=["auth"])
_WRONG: Final = {
    "password": "login or password is wrong",
    "refresh_token": "the session has ended; log in again",
    "client_credentials": "account or password is wrong",
}
_BUSY: Final = documented(413, 422, 429, 503, 504, "busy")


class PasswordChange(Body):
    """Who wants another password."""

    username: str = Field(max_length=80, examples=["ann@home"])
    password: str = Field(max_length=MOST, json_schema_extra={"format": "password"})
    new_password: str = Field(
        min_length=FEWEST, max_length=MOST, json_schema_extra={"format": "password"}
    )


@router.post(
    "/token",
    operation_id="createToken",
    summary="Get an access token",
    response_model_exclude_none=True,
    responses={**REFUSALS, **_BUSY},
)
async def create_token(
    request: Request,
    response: Response,
    keys: Annotated[Keyring, Depends(keyring)],
    known: Annotated[Logins, Depends(logins)],
    form: Annotated[TokenRequest, Form()],
) -> Token:
    """Get a token of 15 minutes.

    `password`: for a user, `username` is `name@tenant`; with it comes a refresh token.
    `refresh_token`: exchanges that one for both anew; an old one that comes again ends the
    session. `client_credentials`: for an app; its name and secret as HTTP Basic, or in the
    form.
    """
    response.headers.update(NO_STORE)
    authorization = request.headers.get("Authorization")
    login = await _login(known, form, authorization, _address(request))
    principal = login.principal
    return Token(
        access_token=keys.issue(principal, now=login.at),
        scope=" ".join(sorted(principal.scopes)),
        refresh_token=login.refresh_token,
    )


@router.post(
    "/revoke",
    operation_id="revokeToken",
    summary="End a session",
    response_class=Response,
    responses={400: REFUSALS[400], **_BUSY},
)
async def revoke_token(
    request: Request,
    known: Annotated[Logins, Depends(logins)],
    form: Annotated[RevocationRequest, Form()],
) -> Response:
    """End the session of a refresh token (RFC 7009).

    A token that is not good any more, or never was, gets the same answer. Access tokens end
    by themselves.
    """
    if not form.token:
        code, detail = "invalid_request", "token is missing"
        raise OAuthError(code, detail)
    if form.token.count(".") > 1:
        code, detail = "unsupported_token_type", "access tokens last 15 minutes; revoke others"
        raise OAuthError(code, detail)
    with suppress(Refused):
        await known.sign_out(form.token, _address(request))
    return Response(headers=NO_STORE)


@router.post(
    "/password",
    operation_id="changePassword",
    summary="Change your password",
    status_code=204,
    responses=documented(403, 413, 422, 429, 503, 504, "password", "busy"),
)
async def change_password(
    request: Request, change: PasswordChange, known: Annotated[Logins, Depends(logins)]
) -> None:
    """Give a user who tells the old password a new one, and end all of his sessions."""
    try:
        await known.change_password(
            change.username, change.password, change.new_password, _address(request)
        )
    except Refused as refused:
        raise ProblemError(403, _WRONG["password"], kind="password") from refused
    except PassphraseError as error:
        raise invalid(("body", "new_password"), error.message) from error


@router.get("/jwks.json", operation_id="getKeys", summary="List the keys that verify tokens")
def get_keys(keys: Annotated[Keyring, Depends(keyring)], response: Response) -> KeySet:
    """Return a JSON Web Key Set; while keys are rotated it holds two."""
    response.headers["Cache-Control"] = "public, max-age=300"
    return KeySet.model_validate(keys.jwks())


async def _login(
    known: Logins, form: TokenRequest, authorization: str | None, address: str
) -> Login:
    """Return the login that a form asks for; raise OAuthError."""
    wrong = "invalid_grant"
    try:
        match form.grant_type:
            case "password":
                name, password = _given(form.username, form.password, "username or password")
                return await known.user(
                    name, password, scopes_of(form.scope, known.scopes), address
                )
            case "refresh_token":
                token, _ = _given(form.refresh_token, "", "refresh_token")
                return await known.refresh(token, scopes_of(form.scope, known.scopes), address)
            case "client_credentials":
                wrong = "invalid_client"
                name, secret = client_of(form, authorization)
                return await known.app(
                    name, secret, scopes_of(form.scope, known.scopes), address
                )
            case _:
                pass
    except Refused as refused:
        if refused.too_wide:
            code, detail = "invalid_scope", "scope asks for more than there is to have"
            raise OAuthError(code, detail) from refused
        raise OAuthError(wrong, _WRONG[form.grant_type or ""]) from refused
    code = "invalid_request" if form.grant_type is None else "unsupported_grant_type"
    detail = "grant_type must be password, refresh_token or client_credentials"
    raise OAuthError(code, detail)


def _given(first: str | None, second: str | None, names: str) -> tuple[str, str]:
    if not first or second is None:
        code = "invalid_request"
        raise OAuthError(code, f"{names} is missing")
    return first, second


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
