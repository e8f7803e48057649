from pathlib import Path

import pytest

from noctis import settings
from noctis.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-63", set(range(64))), ("5", {5}), ("0,5,9-11", {0, 5, 9, 10, 11})],
)
def test_shards_are_read(text: str, expected: set[int]) -> None:
    assert settings.parse_shards(text) == expected


@pytest.mark.parametrize("text", ["", "64", "a", "3-1", "-1", "0-64", "1,,2"])
def test_shards_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="NOCTIS_SHARDS"):
        settings.parse_shards(text)


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTIS_BROKER_PORT", "high")
    with pytest.raises(ConfigurationError, match="NOCTIS_BROKER_PORT"):
        settings.load()


def test_a_secret_does_not_show(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTIS_BROKER_PASSWORD", "hunter2")
    assert "hunter2" not in repr(settings.load())


def test_a_secret_comes_of_a_file_where_no_variable_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTIS_SECRETS", str(tmp_path))
    (tmp_path / "noctis_broker_password").write_text("of the file\n")
    assert settings.load().broker_password.get_secret_value() == "of the file"
    monkeypatch.setenv("NOCTIS_BROKER_PASSWORD", "of the variable")
    assert settings.load().broker_password.get_secret_value() == "of the variable"
    monkeypatch.setenv("NOCTIS_SECRETS", str(tmp_path / "away"))
    with pytest.raises(ConfigurationError, match="NOCTIS_SECRETS"):
        settings.load()


@pytest.mark.parametrize(
    ("url", "full"),
    [
        ("postgresql://noctis@db:5432/noctis", "postgresql://noctis:p%40%2Fq@db:5432/noctis"),
        ("postgresql://noctis:own@db/noctis", "postgresql://noctis:own@db/noctis"),
        ("postgresql:///noctis", "postgresql:///noctis"),
    ],
)
def test_the_databases_password_completes_a_url_that_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, full: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOCTIS_DATABASE_URL", url)
    monkeypatch.setenv("NOCTIS_DATABASE_PASSWORD", "p@/q")
    assert settings.load().database_url.get_secret_value() == full


def test_every_setting_is_in_the_example_file() -> None:
    example = (Path(__file__).parents[2] / ".env.example").read_text("utf-8")
    for name in settings.Settings.model_fields:
        assert f"NOCTIS_{name.upper()}=" in example
