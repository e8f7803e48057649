"""The facade as a process, on a real broker and a real database."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from broker.server import MosquittoServer
from noctis.features import NAMES, dequantise
from noctis.stages import Stage
from noctis.storage import accounts, predictions
from noctis.storage.engine import create, transaction
from noctis.storage.predictions import Prediction
from noctis.storage.server import PostgresServer
from tests.integration.broker_fixtures import eventually
from tests.integration.facade_fixtures import (
    PASSWORD,
    Facade,
    problem_of,
    running_facade,
    served,
)
from tests.integration.inference_fixtures import (
    D1,
    OTHER,
    Night,
    add_devices,
    store,
)

__all__ = ["served"]

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.fixture(scope="module")
def database(own_postgres: PostgresServer) -> Iterator[Engine]:
    engine = create(own_postgres.url, application="noctis-test")
    add_devices(engine)
    with transaction(engine) as connection:
        accounts.add("t1", connection, "phone@t1", "app", PASSWORD)
        accounts.add("t2", connection, "phone@t2", "app", PASSWORD)
        accounts.add("t1", connection, "t1/d1", "device", PASSWORD)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def facade(served: Facade) -> Facade:
    return served


@pytest.fixture(scope="module")
def night(database: Engine) -> Night:
    """A night of 250 epochs of t1/d1, all but the last ten judged."""
    made = Night(250, seed=1)
    store(database, made.frames(size=50))
    with transaction(database) as connection:
        key = predictions.model_id(connection, "stager", "1")
        for stretch in predictions.unsettled(connection, key):
            rows = [
                Prediction(stretch.device_id, stretch.stream, int(seq), start, *judgement(seq))
                for seq, start in zip(stretch.seq, stretch.epoch_start, strict=True)
                if seq <= 240
            ]
            predictions.store(connection, key, rows)
    return made


def judgement(seq: int) -> tuple[Any, ...]:
    return (None, None) if seq <= 5 else (Stage(seq % 4), (0.125, 0.25, 0.5, 0.125))


def pages(facade: Facade, path: str, name: str, **query: object) -> list[list[dict[str, Any]]]:
    """Return all pages of a list, with a token for each that was not the last."""
    found, token = [], ""
    while True:
        more = {"page_token": token} if token else {}
        document = facade.get(path, **query, **more).raise_for_status().json()
        found.append(document[name])
        token = document["next_page_token"]
        if token is None:
            return found


def test_an_app_gets_a_token_by_form_and_by_basic(facade: Facade) -> None:
    answer = facade.ask_for_token("phone@t1").raise_for_status().json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 900
    assert "devices:read" in answer["scope"].split()
    form = {"grant_type": "client_credentials", "scope": "devices:read"}
    basic = facade.client.post("/v1/auth/token", data=form, auth=("phone%40t1", PASSWORD))
    assert basic.raise_for_status().json()["scope"] == "devices:read"


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("phone@t1", "wrong"),
        ("tablet@t1", PASSWORD),
        ("phone@nobody", PASSWORD),
        ("t1/d1", PASSWORD),
        ("phone@t1' OR '1'='1", PASSWORD),
    ],
)
def test_who_is_not_known_gets_invalid_client(
    facade: Facade, username: str, password: str
) -> None:
    response = facade.ask_for_token(username, password)
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
    assert response.headers["cache-control"] == "no-store"


def test_a_revoked_account_gets_no_token(facade: Facade, database: Engine) -> None:
    with transaction(database) as connection:
        accounts.add("t1", connection, "lost@t1", "app", PASSWORD)
    assert facade.ask_for_token("lost@t1").is_success
    with transaction(database) as connection:
        accounts.revoke("t1", connection, "lost@t1")
    assert facade.ask_for_token("lost@t1").json()["error"] == "invalid_client"


def test_a_tenant_sees_its_own_devices_in_pages(facade: Facade) -> None:
    assert [each["name"] for each in facade.get("/v1/devices").json()["devices"]] == [
        "d1",
        "d2",
    ]
    found = pages(facade, "/v1/devices", "devices", page_size=1)
    assert [[each["name"] for each in page] for page in found] == [["d1"], ["d2"]]
    assert facade.get("/v1/devices/d2").json()["time_zone"] == "UTC"


@pytest.mark.usefixtures("night")
def test_what_belongs_to_another_tenant_is_not_found(facade: Facade) -> None:
    narrow = {"since": "2026-01-01T00:00:00Z", "page_size": 1}
    for part in ("", "/epochs", "/predictions"):  # ``test_tenancy_walk`` walks all others
        asked = f"/v1/devices/d2{part}"
        problem_of(facade.get(asked, "phone@t2"), 404)
        problem_of(facade.get(asked, "phone@t2", **narrow), 404)
        problem_of(facade.get(f"/v1/devices/d2-x{part}"), 404)
        assert facade.get(asked).is_success
    assert facade.get(f"/v1/devices/{OTHER.device}/epochs", "phone@t2").json()["epochs"] == []


def test_epochs_come_in_physical_units_page_by_page(facade: Facade, night: Night) -> None:
    path = f"/v1/devices/{D1.device}/epochs"
    found = pages(facade, path, "epochs", page_size=60)
    assert [len(page) for page in found] == [60, 60, 60, 60, 10]
    epochs = [each for page in found for each in page]
    assert [each["seq"] for each in epochs] == list(range(1, 251))
    assert {each["stream"] for each in epochs} == {f"{night.stream:016x}"}
    starts = [datetime.fromisoformat(each["start"]).timestamp() for each in epochs]
    assert starts == [night.utc_s + 30 * index for index in range(250)]
    assert [each["in_bed"] for each in epochs] == night.in_bed.tolist()
    values = np.array([[each["features"][name] for name in NAMES] for each in epochs], float)
    np.testing.assert_allclose(values, dequantise(night.codes), atol=1e-9)


def test_a_span_of_time_is_kept_over_its_pages(facade: Facade, night: Night) -> None:
    since = datetime.fromtimestamp(night.utc_s, UTC) + timedelta(seconds=30 * 10)
    until = since + timedelta(seconds=30 * 100)
    query = {"since": since.isoformat(), "until": until.isoformat()}
    path = f"/v1/devices/{D1.device}/epochs"
    found = pages(facade, path, "epochs", page_size=50, **query)
    assert [each["seq"] for page in found for each in page] == list(range(11, 111))
    first = facade.get(path, page_size=50, **query).json()["next_page_token"]
    problem_of(facade.get(path, page_token=first), 400)
    other = f"/v1/devices/{D1.device}x/epochs"
    problem_of(facade.get(other, page_token=first, **query), 400)


@pytest.mark.usefixtures("night")
def test_a_page_never_holds_more_than_the_cap(facade: Facade) -> None:
    path = f"/v1/devices/{D1.device}/epochs"
    assert len(facade.get(path, page_size=10**30).json()["epochs"]) == 250


@pytest.mark.usefixtures("night")
def test_predictions_come_with_their_epochs_pages(facade: Facade) -> None:
    path = f"/v1/devices/{D1.device}/predictions"
    found = pages(facade, path, "predictions", page_size=60)
    assert [len(page) for page in found] == [60, 60, 60, 60, 0]
    made = [each for page in found for each in page]
    assert [each["seq"] for each in made] == list(range(1, 241))
    assert made[2]["stage"] is None
    assert made[2]["probability"] is None
    assert made[5]["stage"] == Stage(6 % 4).label
    assert made[5]["probability"] == {"wake": 0.125, "light": 0.25, "deep": 0.5, "rem": 0.125}
    assert {each["model"] for each in made} == {"stager@1"}


def test_readiness_tells_what_is_down_and_comes_back(
    facade: Facade, broker: MosquittoServer, own_postgres: PostgresServer, database: Engine
) -> None:
    assert eventually(lambda: facade.client.get("/readyz").is_success, within_s=10)
    broker.stop()
    assert eventually(lambda: down(facade) == {"broker"}, within_s=10)
    broker.restart()
    own_postgres.stop()
    assert eventually(lambda: down(facade) == {"database"}, within_s=10)
    assert facade.client.get("/healthz").is_success
    own_postgres.start(own_postgres.port)
    database.dispose()
    assert eventually(lambda: not down(facade), within_s=10)


def down(facade: Facade) -> set[str]:
    response = facade.client.get("/readyz")
    checks: dict[str, Any] = response.json()["checks"]
    assert response.is_success == all(check["ok"] for check in checks.values())
    return {name for name, check in checks.items() if not check["ok"]}


def test_a_frozen_database_costs_a_deadline_and_too_many_logins_are_turned_away(
    facade: Facade, own_postgres: PostgresServer, database: Engine
) -> None:
    headers = facade.headers()
    own_postgres.freeze()
    try:
        began = time.monotonic()
        problem_of(facade.client.get("/v1/devices", headers=headers), 504)
        assert time.monotonic() - began < 4
        with ThreadPoolExecutor(40) as pool:
            asked = [pool.submit(facade.ask_for_token, "phone@t1") for _ in range(40)]
            statuses = [each.result().status_code for each in asked]
        assert statuses.count(429) == 40 - 18
        assert facade.client.get("/healthz").is_success
        assert down(facade) == {"database"}
    finally:
        own_postgres.thaw()
        database.dispose()
    assert eventually(lambda: facade.ask_for_token("phone@t1").is_success, within_s=15)


def test_sigterm_tells_monitors_first_and_finishes_requests(
    broker: MosquittoServer, own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with running_facade(Facade(broker.port, own_postgres.url, tmp_path)) as facade:
        os.kill(facade.child.pid, signal.SIGTERM)
        assert eventually(lambda: facade.client.get("/readyz").status_code == 503)
        assert facade.child.stop(within_s=10) == 0


def test_settings_that_make_no_sense_are_named(tmp_path: Path) -> None:
    environment = {**os.environ, "NOCTIS_VAR": str(tmp_path), "NOCTIS_API_PORT": "many"}
    done = subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "NOCTIS_API_PORT" in done.stderr
