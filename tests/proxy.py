"""A TCP proxy that delays, holds back one direction, or cuts."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Literal, Self

Direction = Literal["requests", "answers"]
POLL_S: Final = 0.01
CHUNK: Final = 1 << 16


class Proxy:
    """Passes 127.0.0.1:``port`` on to ``target``, in a thread of its own, from entry to exit.

    ``delay_s`` is added to whatever passes; what flows in a direction of ``held`` is held
    back, and comes through once it is no longer: a network that is parted for a while.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay_s = 0.0
        self.held: set[Direction] = set()
        self._loop = asyncio.new_event_loop()
        self._links: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._listen()).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run(self._end()).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """End every connection of this moment; who comes anew gets through."""
        self._run(self._cut()).result(10)

    def _run(self, work: Coroutine[Any, Any, None]) -> Future[None]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _end(self) -> None:
        self._server.close()
        await self._cut()
        current = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=5) if tasks else None

    async def _cut(self) -> None:
        for link in self._links:
            link.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._links.add(writer)
        try:
            behind = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._links.add(behind[1])
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, behind[1], "requests"))
                group.create_task(self._pass(behind[0], writer, "answers"))
        except asyncio.CancelledError:
            pass  # the proxy ends; a server of streams would complain of a cancelled task
        finally:
            for link in (writer, behind[1]):
                link.transport.abort()
                self._links.discard(link)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        try:
            while data := await reader.read(CHUNK):
                await asyncio.sleep(self.delay_s)
                while direction in self.held:  # noqa: ASYNC110 - the test's thread lifts it
                    await asyncio.sleep(POLL_S)
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()  # one side has ended: so does the other
