"""What the embedded platform's services are told."""

import pytest

from cli.parts import environment_of, parts

POINTS = "database.commit=error"
ALL = {"NOCTIS_FAULTS": "allowed", "NOCTIS_FAULT_POINTS": POINTS}


@pytest.mark.parametrize(("value", "told"), [("allowed", ALL), ("yes", {}), ("", {})])
def test_services_are_told_of_faults_where_the_platform_allows_them_and_of_none_elsewhere(
    value: str, told: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOCTIS_FAULTS", value)
    monkeypatch.setenv("NOCTIS_FAULT_POINTS", POINTS)
    for part in parts(2):
        environment = environment_of(part, {})
        assert {k: v for k, v in environment.items() if k.startswith("NOCTIS_FAULT")} == told
