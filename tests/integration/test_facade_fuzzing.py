"""Schemathesis holds the running facade to what its OpenAPI promises, whatever is sent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.scopes import SCOPES
from broker.server import MosquittoServer
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
"""How long to search, in another way each time: ``NOCTIS_FUZZ_SECONDS=900``."""

SECONDS = int(LONG or 35)


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
        yield create_app(settings)


def test_the_facade_keeps_its_promises_whatever_is_sent(app: FastAPI, tmp_path: Path) -> None:
    principal = Principal("fuzz@home", "home", frozenset(SCOPES))
    token = app.state.noctis.keyring.issue(principal)
    search = ["--max-time", str(SECONDS), *([] if LONG else ["--seed", "1"])]
    program = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)]
    header = ["--header", f"Authorization: Bearer {token}"]
    with serving(app) as url:
        address = f"{url}/v1/openapi.json"
        done = subprocess.run(
            [*program, "run", address, "--checks", "all", "--no-color", *search, *header],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=SECONDS + 240,
            check=False,
        )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Tested: 0" not in said
