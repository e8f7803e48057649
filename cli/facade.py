"""A facade that commands ask: tokens renewed in time, every answer within a deadline."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Self

import httpx

from cli import profiles
from cli.errors import FacadeError, SignInError, UnreachableError
from cli.facade_errors import error_of
from cli.output import progress
from cli.profiles import Profile
from noctis.client.tokens import credentials
from noctis.errors import ConfigurationError

__all__ = ["Document", "Facade", "sign_in"]

Document = dict[str, Any]
"""A JSON object."""

CONNECT_S: Final = 5.0
ANSWER_S: Final = 30.0
TOKEN_S: Final = 10.0
EARLY_S: Final = 15.0
WAITS: Final = 3
LONGEST_WAIT_S: Final = 30.0
UPLOAD_S: Final = 240.0
PAGE: Final = 200
QUIET_S: Final = 45.0
"""Three times as long as a stream that stands says nothing."""


class Facade:
    """The facade of a profile; leave it to close its connections.

    What is asked raises FacadeError for a problem that the facade tells, SignInError where it
    is to be logged in anew, UnreachableError where nobody answers in time.
    """

    def __init__(self, profile: Profile, *, seconds: float = ANSWER_S) -> None:
        self.profile = profile
        self._http = _client(profile.url, profile.ca, seconds=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401 - any JSON value
        """Return what the facade answers, None for nothing."""
        response = self.exchange(method, path, params=params, body=body, headers=headers)
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            return response.json()
        except ValueError as error:
            message = f"{self.profile.url} answers, but not as a facade of Noctis does"
            raise FacadeError(response.status_code, message, hint="look at the URL") from error

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Return a good response: with a fresh token, and after the waits that it asks for."""
        query = {key: _plain(it) for key, it in (params or {}).items() if it is not None}
        request = self._http.build_request(
            method, path, params=query, json=body, headers=headers
        )
        return self._exchanged(request)

    def upload(self, path: str, content: bytes, kind: str) -> Any:  # noqa: ANN401 - any JSON value
        """Post what is no JSON, of a media type; return what the facade answers."""
        timeout = httpx.Timeout(UPLOAD_S, connect=CONNECT_S)
        headers = {"Content-Type": kind}
        request = self._http.build_request(
            "POST", path, content=content, headers=headers, timeout=timeout
        )
        return self._exchanged(request).json()

    def _exchanged(self, request: httpx.Request) -> httpx.Response:
        response = self._send(request)
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._renew(self.profile.access_token)
            response = self._send(request)
        for _ in range(WAITS):
            if response.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                break
            _wait(response)
            response = self._send(request)
        if not response.is_success:
            raise error_of(response, self.profile)
        return response

    @contextmanager
    def streamed(
        self, path: str, *, params: Mapping[str, str], headers: Mapping[str, str]
    ) -> Iterator[httpx.Response]:
        """Yield a good response whose body is read as it comes.

        Raises httpx.HTTPError while it is read, when the connection breaks or goes silent.
        """
        timeout = httpx.Timeout(QUIET_S, connect=CONNECT_S)
        request = self._http.build_request(
            "GET", path, params=params, headers=headers, timeout=timeout
        )
        response = self._send(request, stream=True)
        try:
            if response.status_code == HTTPStatus.UNAUTHORIZED:
                response.close()
                self._renew(self.profile.access_token)
                response = self._send(request, stream=True)
            if not response.is_success:
                response.read()
                raise error_of(response, self.profile)
            yield response
        finally:
            response.close()

    def pages(
        self, path: str, key: str, params: Mapping[str, object] | None = None
    ) -> Iterator[Document]:
        """Yield the entries ``key`` of all pages of a list, asked for as they are taken."""
        query = {"page_size": PAGE, **(params or {})}
        while True:
            page = self.ask("GET", path, params=query)
            yield from page[key]
            if not page.get("next_page_token"):
                return
            query["page_token"] = page["next_page_token"]

    def ready(self) -> Document:
        """Return what the facade says of itself, ready or not; it asks for no token."""
        request = self._http.build_request("GET", "/readyz")
        try:
            told: Document = _sent(self._http, request, self.profile.url).json()
        except ValueError as error:
            message = f"{self.profile.url} answers, but not as a facade of Noctis does"
            raise UnreachableError(message, hint="look at the URL") from error
        return told

    def token(self) -> str:
        """Return an access token that is good for a while."""
        if self.profile.expires_at - EARLY_S < time.time():
            self._renew(self.profile.access_token)
        return self.profile.access_token

    def revoke(self) -> None:
        """End the session: its refresh token is worth nothing from now on."""
        form = {"token": self.profile.refresh_token}
        request = self._http.build_request("POST", "/v1/auth/revoke", data=form)
        response = _sent(self._http, request, self.profile.url)
        if not response.is_success:
            raise error_of(response, self.profile)

    def _send(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        request.headers["Authorization"] = f"Bearer {self.token()}"
        return _sent(self._http, request, self.profile.url, stream=stream)

    def _renew(self, stale: str) -> None:
        """Take the token that another command has got meanwhile, else get one."""
        with profiles.held(self.profile.name):
            known = profiles.load(self.profile.name)
            if known.access_token == stale:
                known = _granted(self._http, known, _renewal(known))
                profiles.save(known)
        self.profile = known


def sign_in(profile: Profile, password: str) -> Profile:
    """Return the profile with its first tokens; raise SignInError, UnreachableError."""
    form = (
        {"grant_type": "password", "username": profile.login, "password": password}
        if profile.kind == "user"
        else credentials(profile.login, password)
    )
    with _client(profile.url, profile.ca, seconds=ANSWER_S) as http:
        made = _granted(http, profile, form)
    return replace(made, secret=password) if profile.kind == "app" else made


def _client(url: str, ca: str, *, seconds: float) -> httpx.Client:
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_S, seconds))
    try:
        trusted = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        message = f"{ca} holds no certificate to trust: {error}"
        raise ConfigurationError(message, hint="name the CA's certificate with --ca") from error
    return httpx.Client(base_url=url, timeout=timeout, verify=trusted)


def _renewal(profile: Profile) -> dict[str, str]:
    if profile.kind == "app":
        return credentials(profile.login, profile.secret)
    return {"grant_type": "refresh_token", "refresh_token": profile.refresh_token}


def _granted(http: httpx.Client, profile: Profile, form: Mapping[str, str]) -> Profile:
    """Return the profile with the tokens that a form gets."""
    request = http.build_request("POST", "/v1/auth/token", data=form, timeout=TOKEN_S)
    response = _sent(http, request, profile.url)
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
        raise error_of(response, profile)
    try:
        told = response.json()
        if response.is_success:
            return replace(
                profile,
                access_token=told["access_token"],
                expires_at=time.time() + float(told["expires_in"]),
                refresh_token=told.get("refresh_token", ""),
            )
        why = told.get("error_description") or told.get("detail") or told["error"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{profile.url} answers {response.status_code}, but not as a facade does"
        raise SignInError(message, hint="look at the URL") from error
    message = f"{profile.url} does not let {profile.login} in: {why}"
    raise SignInError(message, hint=_again(profile))


def _again(profile: Profile) -> str:
    kind = "--user" if profile.kind == "user" else "--app"
    return f"noctis login {profile.url} {kind} {profile.login} --profile {profile.name}"


def _sent(
    http: httpx.Client, request: httpx.Request, url: str, *, stream: bool = False
) -> httpx.Response:
    try:
        return http.send(request, stream=stream)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _unreachable(url, error) from error


def _unreachable(url: str, error: Exception) -> UnreachableError:
    if isinstance(error, httpx.TimeoutException):
        return UnreachableError(f"{url} does not answer in time", hint="try again later")
    if isinstance(error.__cause__ or error, ssl.SSLError) or "CERTIFICATE_VERIFY" in str(error):
        message = f"{url} cannot be trusted: {error}"
        return UnreachableError(message, hint="log in with --ca FILE if it has a CA of its own")
    message = f"nobody answers at {url}: {str(error) or type(error).__name__}"
    return UnreachableError(message, hint="look at the URL, and whether the facade runs")


def _wait(response: httpx.Response) -> None:
    told = response.headers.get("Retry-After", "")
    seconds = min(float(told) if told.isdecimal() else 1.0, LONGEST_WAIT_S)
    progress(f"the facade asks to wait for {seconds:g} s")
    time.sleep(seconds)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
