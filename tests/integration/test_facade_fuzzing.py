"""Schemathesis holds the facade and `/internal` to what their OpenAPI promises."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.internal.app import create_internal_app
from api.scopes import INTERNAL_SCOPES, SCOPES
from api.tokens import INTERNAL_AUDIENCE, Keyring
from broker.server import MosquittoServer
from noctis.childproc import free_port
from noctis.identity import Principal
from noctis.settings import Settings
from noctis.storage.engine import create
from tests.integration.broker_fixtures import password_of
from tests.integration.conftest import fresh_database
from tests.integration.holdings import add_tenant, seed
from tests.integration.walk import serving

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
LONG = os.environ.get("NOCTIS_FUZZ_SECONDS", "")
"""How long each search takes, in another way each time; 0: until its end. See docs/api.md."""

BRIEF = {
    "examples,coverage,fuzzing": ("--max-time", "30"),
    "stateful": ("--max-examples", "25"),
}
"""The searches, and how far they go where nobody says otherwise."""


@pytest.fixture
def app(
    postgres: str, migrated: str, broker: MosquittoServer, tmp_path: Path
) -> Iterator[FastAPI]:
    """The facade of a tenant that has one of everything, under the names of the examples."""
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        add_tenant(engine, "home")
        seed(engine, "home", device="bedroom")
        engine.dispose()
        settings = Settings(
            var=tmp_path,
            database_url=SecretStr(url),
            broker_port=broker.port,
            broker_password=SecretStr(password_of("svc-api-0")),
        )
        made = create_app(settings)
        made.openapi()  # it takes seconds on a busy machine, and who asks for it does not wait
        yield made


LONGEST = int(LONG or 60) + 600 if LONG != "0" else 0


@pytest.mark.timeout(LONGEST)
@pytest.mark.parametrize("phases", BRIEF)
def test_the_facade_keeps_its_promises_whatever_is_sent(
    app: FastAPI, tmp_path: Path, phases: str
) -> None:
    principal = Principal("fuzz@home", "home", frozenset(SCOPES))
    token = app.state.noctis.keyring.issue(principal)
    brief = ("--seed", "1", *BRIEF[phases])
    with serving(app) as url:
        search(f"{url}/v1/openapi.json", token, tmp_path, phases, brief)


@pytest.fixture
def internal(postgres: str, migrated: str, tmp_path: Path) -> Iterator[FastAPI]:
    """`/internal` of a platform with a tenant, where loads may not be ordered."""
    with fresh_database(postgres, migrated) as url:
        engine = create(url, application="noctis-test")
        add_tenant(engine, "home")
        seed(engine, "home", device="bedroom")
        engine.dispose()
        nobody = f"nobody=127.0.0.1:{free_port()}"
        settings = Settings(var=tmp_path, database_url=SecretStr(url), services=nobody)
        made = create_internal_app(settings)
        made.openapi()
        yield made
        made.state.noctis.database.close()


@pytest.mark.timeout(LONGEST)
def test_internal_keeps_its_promises_whatever_is_sent(
    internal: FastAPI, tmp_path: Path
) -> None:
    keyring = Keyring(tmp_path / "keys", audience=INTERNAL_AUDIENCE)
    token = keyring.issue(Principal("fuzz", "home", frozenset(INTERNAL_SCOPES)))
    phases, brief = "examples,coverage,fuzzing", ("--seed", "1", "--max-time", "12")
    with serving(internal) as url:
        search(f"{url}/internal/openapi.json", token, tmp_path, phases, brief)


def search(address: str, token: str, folder: Path, phases: str, brief: tuple[str, ...]) -> None:
    """Look for what breaks a promise: briefly, or for as long as LONG says."""
    seconds = int(LONG or 60)
    bounds = ["--max-time", str(seconds)] if LONG and seconds else []
    bounds += [] if LONG else brief
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)]
    options = ["--phases", phases, "--checks", "all", "--no-color"]
    header = ["--header", f"Authorization: Bearer {token}"]
    done = subprocess.run(
        [*program, "run", address, *options, *bounds, *header],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=seconds + 240 if seconds else None,
        check=False,
    )
    said = done.stdout + done.stderr
    if LONG:
        print(said)  # noqa: T201 - what somebody waited for
    assert done.returncode == 0, said
    assert "Tested: 0" not in said
