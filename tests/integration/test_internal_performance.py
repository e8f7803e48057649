"""Performance and monitoring of services: real metrics of real listeners, one of them away."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from typing_extensions import override

from api.internal.app import create_internal_app
from noctis.childproc import free_port
from noctis.settings import Settings
from tests.facades import Asker, problem_of


class Teller:
    """A listener that tells metrics; each look lets its ingestor store another ten epochs."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        rows = Counter("noctis_ingest_rows", "Stored.", registry=registry)
        lag = Histogram(
            "noctis_ingest_lag_seconds", "Lag.", buckets=(0.1, 1), registry=registry
        )
        Gauge("noctis_service_ready", "Ready.", registry=registry).set(0)
        breaker = Gauge("noctis_breaker_state", "Breaker.", ["breaker"], registry=registry)
        breaker.labels("database").set(2)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                rows.inc(10)
                lag.observe(0.05)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(generate_latest(registry))

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:{1}".format(*self.server.server_address)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def teller() -> Iterator[Teller]:
    made = Teller()
    yield made
    made.server.shutdown()
    made.server.server_close()


def asker(folder: Path, services: str) -> Asker:
    app = create_internal_app(Settings(var=folder, services=services))
    return Asker(app, "platform", "internal:read")


def test_a_stage_is_told_over_the_window_and_who_was_not_reached_is_named(
    teller: Teller, tmp_path: Path
) -> None:
    ask = asker(tmp_path, f"ingestor={teller.address},inference=127.0.0.1:{free_port()}")
    told: dict[str, Any] = ask("GET", "/internal/performance?seconds=1").json()
    stages = {it["stage"]: it for it in told["stages"]}
    lag = stages["arrival to commit"]
    assert (lag["count"], lag["services"], lag["highest_s"]) == (1, ["ingestor"], 1.0)
    assert lag["p50_s"] == pytest.approx(0.05)
    assert stages["arrival to stage"]["services"] == []
    assert stages["arrival to stage"]["p50_s"] is None
    [stored] = [it for it in told["flows"] if it["what"] == "epochs stored"]
    assert stored["count"] == 10
    assert 0 < stored["per_second"] <= 10
    assert told["unreached"] == [{"service": "inference", "reason": "cannot be reached"}]


def test_a_service_tells_of_its_breakers_and_one_that_is_away_of_nothing(
    teller: Teller, tmp_path: Path
) -> None:
    away = free_port()
    (tmp_path / "run.json").write_text(
        json.dumps(
            {
                "metrics": {
                    "ingestor": f"http://{teller.address}/metrics",
                    "runner": f"http://127.0.0.1:{away}/metrics",
                }
            }
        )
    )
    ingestor, runner = asker(tmp_path, "")("GET", "/internal/monitoring/services").json()
    assert ingestor["breakers"] == {"database": "open"}
    assert ingestor["ready"] is False
    assert (runner["reached"], runner["ready"]) == (False, None)
    assert runner["reason"] == "cannot be reached"


def test_where_nobody_says_where_the_services_are_it_is_told_what_to_set(
    tmp_path: Path,
) -> None:
    ask = asker(tmp_path, "")
    for path in ("/internal/performance?seconds=1", "/internal/monitoring/services"):
        assert "NOCTIS_SERVICES" in problem_of(ask("GET", path), 503)["detail"]
