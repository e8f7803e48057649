"""The services by what they tell of themselves: whether ready, their breakers, their loads."""

from collections.abc import Mapping
from typing import Final, Literal

from pydantic import BaseModel, Field

from api.internal.scraping import Scrape, addresses, scrape
from noctis.settings import Settings

__all__ = ["Service", "look"]

_STATES: Final[Mapping[float, Literal["closed", "half-open", "open"]]] = {
    0.0: "closed",
    1.0: "half-open",
    2.0: "open",
}
_HOLDS: Final = {
    "messages": "noctis_ingest_waiting",
    "oldest_message_s": "noctis_ingest_oldest_unacknowledged_seconds",
    "last_commit_s": "noctis_ingest_last_commit_seconds",
    "epochs_without_prediction": "noctis_settler_waiting_epochs",
    "devices_in_memory": "noctis_live_devices",
    "connections": "noctis_broker_connections",
    "streams": "noctis_api_streams",
    "commands": "noctis_commands_open",
}
"""What a service holds at this moment, by the metric that tells it."""

_LOST: Final = {
    "dead_letters": "noctis_ingest_dead_letters_total",
    "conflicts": "noctis_ingest_conflicts_total",
    "let_go": "noctis_ingest_dropped_total",
    "stages_unpublished": "noctis_live_unpublished_total",
    "acknowledgements_unsent": "noctis_ingest_acks_unsent_total",
}
"""What went wrong since a service began, by the metric that counts it."""


class Service(BaseModel):
    """A service, as it tells of itself."""

    name: str = Field(examples=["ingestor"])
    reached: bool
    reason: str | None = Field(description="why it was not reached; else null", examples=[None])
    ready: bool | None = Field(
        description="whether it does its work; a consumer of the broker has its session then. "
        "null: it was not reached, or is a listener, which /readyz tells of"
    )
    degraded: bool | None = Field(description="whether it works worse than it should")
    version: str | None = Field(examples=["0.1.0"])
    breakers: dict[str, Literal["closed", "half-open", "open"]] = Field(
        examples=[{"database": "closed"}]
    )
    holds: dict[str, float] = Field(
        description="at this moment", examples=[{"messages": 0, "oldest_message_s": 0}]
    )
    lost: dict[str, float] = Field(
        description="since it began", examples=[{"dead_letters": 0, "conflicts": 0}]
    )


async def look(settings: Settings) -> list[Service]:
    """Ask each service; raise ConfigurationError where nobody says where they are."""
    told = await scrape(addresses(settings))
    return [_service(name, part.value, part.reason) for name, part in told.items()]


def _service(name: str, told: Scrape | None, reason: str | None) -> Service:
    told = told or Scrape({})
    breakers = told.labelled("noctis_breaker_state", "breaker")
    return Service(
        name=name,
        reached=reason is None,
        reason=reason,
        ready=_flag(told, "noctis_service_ready"),
        degraded=_flag(told, "noctis_service_degraded"),
        version=next(iter(told.labelled("noctis_build_info", "version")), None),
        breakers={it: _STATES.get(state, "open") for it, state in breakers.items()},
        holds=_known(told, _HOLDS),
        lost=_known(told, _LOST),
    )


def _flag(told: Scrape, name: str) -> bool | None:
    value = told.total(name)
    return None if value is None else value > 0


def _known(told: Scrape, names: Mapping[str, str]) -> dict[str, float]:
    values = {what: told.total(name) for what, name in names.items()}
    return {what: value for what, value in values.items() if value is not None}
