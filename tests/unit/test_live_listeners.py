"""Who listens to live stages: a queue that is bounded, and a reader that is too slow."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from api.live import (
    MOST_OF_TENANT,
    MOST_WAITING,
    Event,
    Listener,
    Live,
    TooManyError,
    _account,
)
from api.routes.stages import _events, _Opened
from noctis.settings import Settings


def event(seq: int) -> Event:
    document = {"t": "2026-11-01T00:00:00Z", "stream": f"{1:016x}", "seq": seq}
    return Event("d1", f"{1:016x}", seq, json.dumps(document).encode())


async def here() -> bool:
    return False


async def drawn(events: AsyncIterator[bytes]) -> list[str]:
    return [it.decode() async for it in events]


def test_a_reader_who_is_too_slow_is_dropped_with_a_reason_and_nothing_grows() -> None:
    async def main() -> list[str]:
        listener = Listener("t1", None)
        for seq in range(MOST_WAITING + 100):
            listener.tell(event(seq))
        assert listener.is_slow
        assert not await listener.take(within_s=0)
        return await drawn(_events(_Opened(listener, []), lambda: "", here))

    *_, last = anyio.run(main)
    assert last == 'event: end\ndata: {"reason": "the reader is too slow"}\n\n'


def test_a_reader_who_keeps_up_gets_all_in_order_and_what_is_stored_once() -> None:
    async def main() -> list[str]:
        listener = Listener("t1", None)
        for seq in range(MOST_WAITING):
            listener.tell(event(seq))
        past = [event(seq).document for seq in range(10)]
        return await drawn(_events(_Opened(listener, past), lambda: "enough", here))

    texts = anyio.run(main)
    seqs = [json.loads(it.partition("data: ")[2].split("\n")[0])["seq"] for it in texts[1:-1]]
    assert seqs == list(range(MOST_WAITING))


def test_a_tenant_has_so_many_listeners_and_gives_them_back() -> None:
    live = Live(Settings())
    held = [live.listening("t1", None, is_resumed=False) for _ in range(MOST_OF_TENANT)]
    for one in held:
        one.__enter__()
    with pytest.raises(TooManyError), live.listening("t1", None, is_resumed=False):
        pass
    with live.listening("t2", None, is_resumed=False):
        pass
    held[0].__exit__(None, None, None)
    with live.listening("t1", None, is_resumed=False):
        pass


def test_each_process_has_an_account_of_its_own_and_gives_it_back(tmp_path: Path) -> None:
    settings = Settings(var=tmp_path, instance=4)
    with _account(settings) as one, _account(settings) as two:
        assert (one.instance, two.instance) == (4, 5)
    with _account(settings) as again:
        assert again.instance == 4
