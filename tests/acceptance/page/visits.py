"""Somebody who looks at the page, and everything that their browser was asked, told and did."""

import re
from typing import Any, Final

from playwright.sync_api import Browser, ConsoleMessage, Locator, Request, Response, expect

from tests.household import PASSWORD

__all__ = ["SHOWN_MS", "Visit"]

SHOWN_MS: Final = 45_000
WIDE: Final[Any] = {"width": 1180, "height": 900}
REFUSED: Final = re.compile(r"Failed to load resource.* (\d{3}) ")
OURS: Final = "Canvas2D: Multiple readback"  # by tests that look at what is painted
LOST: Final = re.compile(r"Failed to load resource: net::ERR_")


class Visit:
    """A tab of a profile of its own.

    ``refused``: HTTP errors that are meant to come; ``lost``: the server may go away;
    ``calm``: what else the browser complains of is an error.
    """

    def __init__(
        self,
        browser: Browser,
        address: str,
        *,
        refused: tuple[int, ...] = (),
        lost: bool = False,
        calm: bool = True,
        **options: Any,  # noqa: ANN401 - what Playwright takes
    ) -> None:
        settings = {"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce"}
        self.context = browser.new_context(base_url=address, **{**settings, **options})
        self.context.set_default_timeout(SHOWN_MS)
        self.page = self.context.new_page()
        self.address = address
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        self.complaints: list[str] = []
        self._refused = {str(status) for status in refused}
        self._lost = lost
        self._calm = calm
        self.context.on("request", self._on_request)
        self.context.on("response", self._on_response)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    @property
    def main(self) -> Locator:
        return self.page.locator("main")

    def open(self, place: str = "") -> "Visit":
        self.page.goto(f"/{place}")
        return self

    def go(self, place: str, title: str) -> None:
        """Follow a link of the bar, and wait until what it leads to is there."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=place).click()
        self.shows(title)

    def sign_in(self, login: str, password: str = PASSWORD) -> "Visit":
        self.page.get_by_label("Name").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        return self

    def enter(self, login: str, place: str = "", title: str = "Tonight") -> "Visit":
        """Open the page somewhere and sign in."""
        self.open(place).sign_in(login)
        self.shows(title)
        return self

    def shows(self, heading: str) -> None:
        """Wait for a heading."""
        expect(self.page.get_by_role("heading", level=1, name=heading)).to_be_visible()

    def asked(self, path: str) -> list[Request]:
        return [it for it in self.requests if it.url.startswith(self.address + path)]

    def kept(self) -> str:
        """Return all that the browser keeps for the page, as text."""
        stored = self.page.evaluate(
            "JSON.stringify({...sessionStorage}) + JSON.stringify({...localStorage})"
        )
        return f"{stored}{self.context.cookies()}"

    def leave(self) -> None:
        self.context.close()

    def check(self) -> None:
        """Hold what happened against what must never happen."""
        strangers = [
            it.url
            for it in self.requests
            if not it.url.startswith((self.address, "data:", "blob:"))
        ]
        assert not strangers, strangers
        if self._calm:
            assert not self.complaints, self.complaints

    def _on_request(self, request: Request) -> None:
        self.requests.append(request)

    def _on_response(self, response: Response) -> None:
        self.responses.append(response)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"} or OURS in message.text:
            return
        status = REFUSED.search(message.text)
        if status and status[1] in self._refused:
            return
        if self._lost and (LOST.search(message.text) or (status and status[1] >= "500")):
            return
        self.complaints.append(f"{message.text} ({message.location})")
