"""Settings: ``NOCTIS_*`` variables, then ``.env``, then files of secrets, then defaults."""

import os
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from noctis.errors import ConfigurationError
from noctis.topics import SHARDS

__all__ = ["Settings", "load", "parse_shards"]


class Settings(BaseSettings):
    """Everything that a service can be told from outside; ``.env.example`` lists it all."""

    model_config = SettingsConfigDict(env_prefix="NOCTIS_", env_file=".env", extra="ignore")

    var: Path = Field(Path("var"), description="folder of the platform's own files")
    ca: Path | None = Field(None, description="folder of the CA; of its own below var")
    database_url: SecretStr = Field(
        SecretStr("postgresql://noctis@127.0.0.1:5432/noctis"),
        description="PostgreSQL or TimescaleDB",
    )
    database_password: SecretStr = Field(SecretStr(""), description="where the URL has none")
    # Below the session's statement_timeout, after which a commit would not await its standbys.
    database_seconds: float = Field(
        10.0, gt=0, lt=120, description="deadline of a database call"
    )
    retention_days: int = Field(400, gt=0, description="of tenants that name none")
    operations_days: int = Field(90, gt=0, description="an operation is told after it ended")
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
    metrics_host: str = Field("127.0.0.1", description="address that it listens on")
    api_host: str = Field("127.0.0.1", description="address that the REST facade listens on")
    api_port: int = Field(8000, ge=0, le=65535)
    api_workers: int = Field(1, ge=1, description="processes of the facade that share the load")
    api_requests_per_second: float = Field(100, ge=0, description="of a tenant; 0: any number")
    api_burst: int = Field(1000, ge=1, description="requests of a tenant at once")
    api_epochs_per_minute: int = Field(
        120_000, ge=0, description="of a tenant, over HTTP; 0: any"
    )
    api_stream_seconds: float = Field(
        20, gt=0, description="that a reader of a stream may take nothing"
    )
    api_devices: int = Field(0, ge=0, description="of a tenant; 0: any number")
    internal_host: str = Field("127.0.0.1", description="address that /internal listens on")
    internal_port: int = Field(8001, ge=0, le=65535, description="0: a free one")
    stress: Literal["", "allowed"] = Field("", description="whether loads may be ordered")
    services: str = Field("", description="who tells metrics where: api=api:8000,...")
    firmware_url: str = Field("", description="where devices reach the facade: its base URL")
    images_listen: str = Field("", description="address:port of TLS for images; empty: none")
    images_certificate: Path | None = Field(None, description="of that TLS")
    images_key: Path | None = Field(None, description="of that certificate")
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    trace: str = Field("", description="devices whose epochs are logged: home/bedroom,lab/*")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Put the database's password into its URL, where that names a user alone."""
        url, password = (
            it.get_secret_value() for it in (self.database_url, self.database_password)
        )
        scheme, _, rest = url.partition("://")
        user, at, place = rest.rpartition("@")
        if password and at and ":" not in user:
            full = f"{scheme}://{user}:{quote(password, safe='')}@{place}"
            self.database_url = SecretStr(full)
        return self

    @property
    def retention(self) -> timedelta:
        """How long the epochs of a tenant without days of its own stay."""
        return timedelta(days=self.retention_days)

    @property
    def operations_kept(self) -> timedelta:
        """How long an operation that ended can be read."""
        return timedelta(days=self.operations_days)

    @property
    def models(self) -> Path:
        """The folder of the model registry."""
        return self.var / "models"

    @property
    def ca_folder(self) -> Path:
        """The folder of the CA that certifies devices, if there is one."""
        return self.ca or self.var / "ca"

    @property
    def firmware(self) -> Path:
        """The folder of images of firmware, each by its SHA-256."""
        return self.var / "firmware"

    @property
    def firmware_keys(self) -> Path:
        """The folder of the keys that sign firmware."""
        return self.var / "firmware-keys"

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


def load(**given: Any) -> Settings:  # noqa: ANN401 - each of its setting's own type
    """Return the settings of this process; raise ConfigurationError when one makes no sense.

    What is ``given`` and not None goes before variables and ``.env``. ``NOCTIS_SECRETS`` names
    a folder of files, each with one setting, ``noctis_broker_password``: these go after both.
    """
    folder = os.environ.get("NOCTIS_SECRETS")
    if folder and not Path(folder).is_dir():
        message = f"NOCTIS_SECRETS={folder} is no folder"
        raise ConfigurationError(message, hint="mount the secrets there, or do not set it")
    try:
        chosen = {name: value for name, value in given.items() if value is not None}
        return Settings(_secrets_dir=folder or None, **chosen)
    except ValidationError as error:
        wrong = "; ".join(
            f"NOCTIS_{'_'.join(str(part) for part in entry['loc']).upper()}: {entry['msg']}"
            for entry in error.errors(include_input=False, include_url=False)
        )
        message = f"settings make no sense: {wrong}"
        raise ConfigurationError(message, hint="see .env.example") from error
