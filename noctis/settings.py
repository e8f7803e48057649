"""Settings: ``NOCTIS_*`` variables, then ``.env``, then the embedded platform's defaults."""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from noctis.errors import ConfigurationError
from noctis.topics import SHARDS

__all__ = ["Settings", "load", "parse_shards"]


class Settings(BaseSettings):
    """Everything that a service can be told from outside; ``.env.example`` lists it all."""

    model_config = SettingsConfigDict(env_prefix="NOCTIS_", env_file=".env", extra="ignore")

    var: Path = Field(Path("var"), description="folder of the platform's own files")
    database_url: SecretStr = Field(
        SecretStr("postgresql://noctis@127.0.0.1:5432/noctis"),
        description="PostgreSQL or TimescaleDB",
    )
    database_seconds: float = Field(10.0, gt=0, description="deadline of a database call")
    retention_days: int = Field(400, gt=0, description="of tenants that name none")
    broker_host: str = Field("127.0.0.1", description="MQTT broker; nodes as a:1883,b:1883")
    broker_port: int = Field(1883, ge=1, le=65535)
    broker_ca: Path | None = Field(None, description="CA of the broker; TLS if set")
    broker_mqtt: Literal["5", "3.1.1"] = Field("5", description="3.1.1 for RabbitMQ 3.x")
    broker_password: SecretStr = Field(SecretStr(""), description="of this service's account")
    app_broker_host: str = Field("", description="broker of the apps; empty: the same one")
    app_broker_port: int = Field(1883, ge=1, le=65535)
    app_broker_ca: Path | None = Field(None, description="CA of the apps' broker; TLS if set")
    app_broker_password: SecretStr = Field(SecretStr(""), description="of the account there")
    night_stager: bool = Field(True, description="nights that are over are staged anew")  # noqa: FBT003 - a default
    instance: int = Field(0, ge=0, description="number in the account's name: svc-ingestor-0")
    shards: str = Field("0-63", description="the shards that this instance owns: 0-31 or 0,5,9")
    metrics_port: int = Field(0, ge=0, le=65535, description="of a service; 0: none")
    api_host: str = Field("127.0.0.1", description="address that the REST facade listens on")
    api_port: int = Field(8000, ge=0, le=65535)
    api_workers: int = Field(1, ge=1, description="processes of the facade that share the load")
    api_requests_per_second: float = Field(100, ge=0, description="of a tenant; 0: any number")
    api_burst: int = Field(1000, ge=1, description="requests of a tenant at once")
    api_epochs_per_minute: int = Field(
        120_000, ge=0, description="of a tenant, over HTTP; 0: any"
    )
    api_devices: int = Field(0, ge=0, description="of a tenant; 0: any number")
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @property
    def retention(self) -> timedelta:
        """How long the epochs of a tenant without days of its own stay."""
        return timedelta(days=self.retention_days)

    @property
    def models(self) -> Path:
        """The folder of the model registry."""
        return self.var / "models"

    @property
    def token_keys(self) -> Path:
        """The folder of the keys that sign access tokens."""
        return self.var / "keys"

    @cached_property
    def shard_set(self) -> frozenset[int]:
        """The shards that ``shards`` names."""
        return parse_shards(self.shards)


def parse_shards(text: str) -> frozenset[int]:
    """Return the shards that a text such as ``0-31`` or ``0,5,9-12`` names."""
    try:
        ends = [part.partition("-") for part in text.split(",")]
        spans = [range(int(low), int(high or low) + 1) for low, _, high in ends]
    except ValueError:
        spans = []
    shards = frozenset(shard for span in spans for shard in span)
    if not shards or not shards <= frozenset(range(SHARDS)):
        message = f"NOCTIS_SHARDS={text!r} names no shards"
        raise ConfigurationError(message, hint=f"write 0-{SHARDS - 1}, 0-31 or 0,5,9")
    return shards


def load(**given: object) -> Settings:
    """Return the settings of this process; raise ConfigurationError when one makes no sense.

    What is ``given`` and not None goes before variables and ``.env``.
    """
    try:
        return Settings.model_validate({k: v for k, v in given.items() if v is not None})
    except ValidationError as error:
        wrong = "; ".join(
            f"NOCTIS_{'_'.join(str(part) for part in entry['loc']).upper()}: {entry['msg']}"
            for entry in error.errors(include_input=False, include_url=False)
        )
        message = f"settings make no sense: {wrong}"
        raise ConfigurationError(message, hint="see .env.example") from error
