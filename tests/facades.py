"""The facade in the test's own process: real routes, real tokens, no socket."""

from typing import Any

import anyio
import httpx
from fastapi import FastAPI

from api.problems import MEDIA_TYPE
from noctis.identity import Principal

__all__ = ["Asker", "problem_of"]


class Asker:
    """Asks a facade as a caller of some tenant with some scopes."""

    def __init__(self, app: FastAPI, tenant: str, *scopes: str) -> None:
        self.app = app
        principal = Principal(f"someone@{tenant}", tenant, frozenset(scopes))
        token = app.state.noctis.keyring.issue(principal)
        self.headers = {"Authorization": f"Bearer {token}"}

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        async def exchange() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://noctis", timeout=60
            ) as client:
                sent = self.headers | (headers or {})
                return await client.request(method, path, headers=sent, **options)

        return anyio.run(exchange)


def problem_of(response: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem that a response tells, which must have this status."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE, response.text
    problem: dict[str, Any] = response.json()
    return problem
