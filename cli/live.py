"""A device's live stages: a facade's stream, heard by a thread that comes back by itself."""

import json
import queue
import threading
import time
from contextlib import suppress
from socket import SHUT_RDWR
from types import TracebackType
from typing import Final, Self

import httpx

from cli.facade import Facade
from cli.nouns.documents import Document, plain
from noctis.client.events import Events
from noctis.errors import NoctisError
from noctis.identity import DeviceId
from noctis.pauses import jittered

__all__ = ["LiveStages"]

PATH: Final = "/v1/stages:stream"
FIRST_S: Final = 0.3
LAST_S: Final = 10.0
CLOSE_S: Final = 5.0


class LiveStages:
    """What is told of a device from entry to exit; what was missed meanwhile is told, too.

    ``heard``: the stream stands. Without a facade it never does, and ``trouble`` says so.
    """

    def __init__(self, facade: Facade | None, who: DeviceId) -> None:
        self._facade = facade
        self._who = who
        self._told: queue.Queue[Document] = queue.Queue()
        self._stopping = threading.Event()
        self._up = threading.Event()
        self._last = ""
        self._answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)
        self.trouble = "no facade of this machine can be asked"

    @property
    def heard(self) -> bool:
        """Whether stages come as they are told."""
        return self._up.is_set()

    def __enter__(self) -> Self:
        if self._facade is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        if self._facade is not None:
            self._hang_up()
            self._thread.join(CLOSE_S)

    def take(self, *, within_s: float) -> list[Document]:
        """Return the stages that came, as soon as there is one; none when the time is over."""
        taken = []
        with suppress(queue.Empty):
            taken.append(self._told.get(timeout=max(0.0, within_s)))
            while True:
                taken.append(self._told.get_nowait())
        return taken

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._hear()
                self.trouble = "the stream has ended"
            except (NoctisError, httpx.HTTPError, OSError) as error:
                self.trouble = str(error) or type(error).__name__
            self._up.clear()
            failures = 0 if time.monotonic() - began > LAST_S else failures + 1
            self._stopping.wait(jittered(failures, first_s=FIRST_S, last_s=LAST_S))

    def _hear(self) -> None:
        """Live through one stream; it ends with the token, or with its process."""
        assert self._facade is not None  # noqa: S101 - who has none does not start
        headers = {"Last-Event-ID": self._last} if self._last else {}
        query = {"device": self._who.device}
        with self._facade.streamed(PATH, params=query, headers=headers) as answer:
            self._answer = answer
            self._up.set()
            events = Events()
            for line in answer.iter_lines():
                event = events.take(line)
                if event is not None and event.name == "stage":
                    self._last = event.id or self._last
                    self._told.put(plain(json.loads(event.data)))
                if self._stopping.is_set():
                    return

    def _hang_up(self) -> None:
        """Wake the thread, which waits for the next word."""
        if self._answer is not None:
            with suppress(OSError, KeyError):
                stream = self._answer.extensions["network_stream"]
                stream.get_extra_info("socket").shutdown(SHUT_RDWR)
