"""Access tokens: signed in, renewed before they end, one renewal at a time."""

import threading
import time
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, Literal

import anyio
import httpx
from typing_extensions import override

from noctis.client.errors import SignInError, problem_in

__all__ = ["Account", "Tokens", "credentials"]

PATH: Final = "/v1/auth/token"
TOKEN_S: Final = 15.0
EARLY_S: Final = 15.0
_REFUSED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED)

Steps = Generator[httpx.Request, httpx.Response, None]
AsyncSteps = AsyncGenerator[httpx.Request, httpx.Response]


@dataclass(frozen=True, slots=True)
class Account:
    """Who asks: ``login`` is the ``name@tenant`` of a user or of an app."""

    kind: Literal["user", "app"]
    login: str
    password: str = field(repr=False)


def credentials(name: str, secret: str) -> dict[str, str]:
    """Return the form by which an app asks for a token."""
    return {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}


class Tokens(httpx.Auth):
    """Signs requests of a client with a token that is good for a while.

    A refresh token works once, so whoever finds the token too old waits for the one who renews
    it, and takes his. A session that has ended meanwhile is begun anew. Raises SignInError.
    """

    def __init__(self, url: str, account: Account) -> None:
        self._url = httpx.URL(url).join(PATH)
        self._account = account
        self._access = ""
        self._refresh = ""
        self._ends_at = 0.0
        self._lock = threading.Lock()
        self._async_lock = anyio.Lock()

    @override
    def sync_auth_flow(self, request: httpx.Request) -> Steps:
        with self._lock:
            while (asked := self._due()) is not None:
                answer = yield asked
                answer.read()
                if not self._take(answer):
                    return
        used = self._sign(request)
        answer = yield request
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            with self._lock:
                self._refuse(used)
                while (asked := self._due()) is not None:
                    answer = yield asked
                    answer.read()
                    if not self._take(answer):
                        return
            self._sign(request)
            yield request

    @override
    async def async_auth_flow(self, request: httpx.Request) -> AsyncSteps:
        async with self._async_lock:
            while (asked := self._due()) is not None:
                answer = yield asked
                await answer.aread()
                if not self._take(answer):
                    return
        used = self._sign(request)
        answer = yield request
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            async with self._async_lock:
                self._refuse(used)
                while (asked := self._due()) is not None:
                    answer = yield asked
                    await answer.aread()
                    if not self._take(answer):
                        return
            self._sign(request)
            yield request

    def _sign(self, request: httpx.Request) -> str:
        request.headers["Authorization"] = f"Bearer {self._access}"
        return self._access

    def _refuse(self, used: str) -> None:
        """Forget a token that the facade refused, unless another one is there already."""
        if used == self._access:
            self._ends_at = 0.0

    def _due(self) -> httpx.Request | None:
        """Return the request for a token; None while the one that is there is good."""
        if time.monotonic() < self._ends_at:
            return None
        timeout = httpx.Timeout(TOKEN_S).as_dict()
        return httpx.Request(
            "POST", self._url, data=self._form(), extensions={"timeout": timeout}
        )

    def _form(self) -> dict[str, str]:
        who = self._account
        if self._refresh:
            return {"grant_type": "refresh_token", "refresh_token": self._refresh}
        if who.kind == "app":
            return credentials(who.login, who.password)
        return {"grant_type": "password", "username": who.login, "password": who.password}

    def _take(self, answer: httpx.Response) -> bool:
        """Take what was granted; a refresh token that is refused gives way to the password.

        Returns False where nothing was decided: the answer is then that of the request itself.
        """
        told = problem_in(answer)
        if "access_token" in told:
            lasts_s = float(told["expires_in"])
            self._access, self._refresh = told["access_token"], told.get("refresh_token", "")
            self._ends_at = time.monotonic() + max(lasts_s - EARLY_S, lasts_s / 2, 1.0)
            return True
        if not answer.is_success and answer.status_code not in _REFUSED:
            return False
        was_refresh, self._refresh = self._refresh, ""
        if not was_refresh:
            why = told.get("error_description") or f"it answers {answer.status_code}"
            message = f"{self._url.host} does not let {self._account.login} in: {why}"
            raise SignInError(message)
        return True
