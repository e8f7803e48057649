"""A load on a whole platform: it holds, is cancelled, and a dead runner leaves nothing."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from api.scopes import INTERNAL_SCOPES
from api.tokens import INTERNAL_AUDIENCE, Keyring
from cli.embedded import Platform
from noctis.childproc import free_port
from noctis.identity import Principal
from noctis.storage import erasures
from noctis.storage.engine import transaction
from tests.integration.broker_fixtures import eventually

pytestmark = [pytest.mark.broker, pytest.mark.postgres, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Operator:
    """Whoever asks /internal of a platform."""

    platform: Platform
    client: httpx.Client

    def order(self, **wanted: float) -> str:
        answer = self.client.post("/internal/stress", json=wanted)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def get(self, path: str) -> dict[str, Any]:
        told: dict[str, Any] = self.client.get(path).json()
        return told

    def until(self, path: str, state: str, within_s: float = 60) -> dict[str, Any]:
        assert eventually(lambda: self.get(path)["state"] == state, within_s=within_s), (
            self.get(path),
            (self.platform.var / "log" / "runner.log").read_text()[-3000:],
        )
        return self.get(path)

    def erased(self, number: str) -> bool:
        with transaction(self.platform.engine, 10) as connection:
            known = erasures.list_all(connection)
        return any(it.subject == number for it in known)


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    var = tmp_path_factory.mktemp("stress") / "var"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOCTIS_STRESS", "allowed")
        with Platform(var, api_port=free_port()) as platform:
            keys = Keyring(var / "keys", audience=INTERNAL_AUDIENCE)
            token = keys.issue(Principal("ann", "platform", frozenset(INTERNAL_SCOPES)))
            url = f"http://127.0.0.1:{platform.internal_port}"
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=url, headers=headers, timeout=20) as client:
                yield Operator(platform, client)


def test_a_load_is_sent_stored_once_staged_and_erased(operator: Operator) -> None:
    path = operator.order(devices=4, rate=10, seconds=3)
    made = operator.until(path, "done")
    report = made["report"]
    assert made["sent"] == report["sent"] == report["intended"] == 30
    assert report["stored"] == report["acknowledged"] == report["staged"] == 30
    assert (report["lost"], report["doubled"], report["refused"]) == (0, 0, 0)
    for what in ("to_acknowledgement", "to_stage"):
        assert 0 < report[what]["p50_ms"] <= report[what]["p99_ms"] <= report[what]["max_ms"]
    assert operator.erased("stress-1")
    tenants = operator.get("/internal/monitoring")["tenants"]
    assert tenants == {**tenants, "ok": True, "value": []}


def test_a_load_that_is_cancelled_ends_at_once_and_is_erased(operator: Operator) -> None:
    path = operator.order(devices=2, rate=10, seconds=300)
    assert eventually(lambda: operator.get(path)["sent"] > 0, within_s=30)
    operator.client.post(f"{path}:cancel")
    ended = operator.until(path, "cancelled", within_s=20)
    assert ended["report"] is None
    assert ended["sent"] < 3000
    assert operator.erased("stress-2")


def test_a_load_whose_runner_dies_is_told_as_failed_and_is_erased(operator: Operator) -> None:
    path = operator.order(devices=2, rate=10, seconds=300)
    assert eventually(lambda: operator.get(path)["sent"] > 0, within_s=30)
    run = json.loads((operator.platform.var / "run.json").read_text())
    with suppress(ProcessLookupError):
        os.kill(run["processes"]["runner"], signal.SIGKILL)
    ended = operator.until(path, "failed", within_s=60)
    assert "the runner that sent it ended" in ended["error"]
    assert operator.erased("stress-3")


def test_what_the_line_did_meanwhile_is_told_by_stage(operator: Operator) -> None:
    path = operator.order(devices=2, rate=20, seconds=8)
    assert eventually(lambda: operator.get(path)["sent"] > 0, within_s=30)
    told = operator.get("/internal/performance?seconds=3")
    stages = {it["stage"]: it for it in told["stages"] if it["route"] is None}
    assert told["unreached"] == []
    for stage in ("arrival to commit", "arrival to acknowledgement", "arrival to stage"):
        assert stages[stage]["count"] > 0, stage
        assert 0 < stages[stage]["p50_s"] <= stages[stage]["p99_s"], stage
    operator.until(path, "done")
