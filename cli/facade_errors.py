"""What a facade refuses, in the words that commands have for it."""

from http import HTTPStatus
from typing import Final

import httpx

from cli.errors import FacadeError, SignInError, UnreachableError
from cli.profiles import Profile
from noctis.client.errors import AWAY, problem_in
from noctis.errors import NoctisError

__all__ = ["error_of"]


_HINTS: Final[dict[int, str]] = {
    HTTPStatus.CONFLICT: "look at it again, and ask anew",
    HTTPStatus.PRECONDITION_FAILED: "somebody else changed it: look at it again, and ask anew",
    HTTPStatus.TOO_MANY_REQUESTS: "ask less often, or have the tenant's quota raised",
    HTTPStatus.INTERNAL_SERVER_ERROR: "its log tells more",
    HTTPStatus.BAD_GATEWAY: "try again; else look at the facade's proxy",
    HTTPStatus.SERVICE_UNAVAILABLE: "try again later",
    HTTPStatus.GATEWAY_TIMEOUT: "try again, or ask for less",
}


def error_of(response: httpx.Response, profile: Profile) -> NoctisError:
    """Return the error that a response stands for."""
    status = response.status_code
    told = problem_in(response)
    detail = told.get("detail") or told.get("title") or HTTPStatus(status).phrase.lower()
    if status == HTTPStatus.UNAUTHORIZED:
        message = f"the session of {profile.login} at {profile.url} has ended"
        return SignInError(message, hint=f"noctis login {profile.url}")
    if status == HTTPStatus.FORBIDDEN:
        message = f"{profile.login} may not do that at {profile.url}: {detail}"
        return SignInError(message, hint="have an admin give another role")
    for wrong in told.get("errors") or ():
        detail += f"; {wrong.get('pointer', '?')}: {wrong.get('detail', '?')}"
    if status in AWAY:
        return UnreachableError(f"{profile.url}: {detail}", hint=_HINTS[status])
    return FacadeError(status, detail, hint=_HINTS.get(status, ""))
