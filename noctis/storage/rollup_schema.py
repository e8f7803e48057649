"""The SQL of ``epochs_hourly``: one name and one shape on every edition of the database.

A continuous aggregate where TimescaleDB has its own licence, a table elsewhere. Both follow
``noctis/features.toml``: whoever changes a feature of ``FIGURES`` adds a migration that drops
the rollup and makes it again.
"""

from typing import Final

from noctis.features import FEATURES
from noctis.storage.timescale import Edition
from noctis.storage.views import value

__all__ = [
    "COLUMNS",
    "FIGURES",
    "NAME",
    "PARTS",
    "aggregates",
    "create",
    "drop",
    "hour_of",
]

NAME: Final = "epochs_hourly"

FIGURES: Final = {
    "heart_rate": "hr_mean",
    "breathing_rate": "rr_mean",
    "movement": "move_frac",
    "activity": "act_count",
    "quality": "quality",
}
"""The figures of an hour, and the feature that each is made of."""

PARTS: Final = {"count": "bigint", "sum": "float8", "min": "float8", "max": "float8"}
"""What is kept of a figure: enough for means of hours, nights and weeks alike."""

COLUMNS: Final = (
    "tenant_id",
    "device_id",
    "hour",
    "epochs",
    "in_bed",
    *(f"{figure}_{part}" for figure in FIGURES for part in PARTS),
)
"""The columns, in order."""

_BY_NAME: Final = {feature.name: feature for feature in FEATURES}


def hour_of(column: str) -> str:
    """Return the expression of the hour (UTC) that a moment lies in, in plain PostgreSQL."""
    return f"date_bin(interval '1 hour', {column}, timestamptz '2000-01-01 00:00:00+00')"


def aggregates() -> str:
    """Return what is selected of the epochs of a tenant, a device and an hour, in order.

    The figures are those of the epochs in bed, in physical units: a logarithmic code is
    turned into its value before it is added up.
    """
    figures = (
        f"{part}({value(_BY_NAME[feature], where='in_bed')}) AS {figure}_{part}"
        for figure, feature in FIGURES.items()
        for part in PARTS
    )
    counts = ("count(*) AS epochs", "count(*) FILTER (WHERE in_bed) AS in_bed")
    return ",\n       ".join((*counts, *figures))


def create(edition: Edition) -> tuple[str, ...]:
    """Return the statements that make the rollup, without any row."""
    if edition is Edition.FULL:
        return (_aggregate(),)
    figures = (
        f"{figure}_{part} {kind}{' NOT NULL' if part == 'count' else ''}"
        for figure in FIGURES
        for part, kind in PARTS.items()
    )
    columns = ", ".join(
        (
            "tenant_id integer NOT NULL, device_id integer NOT NULL, hour timestamptz NOT NULL",
            "epochs bigint NOT NULL, in_bed bigint NOT NULL",
            *figures,
        )
    )
    key = f"CONSTRAINT pk_{NAME} PRIMARY KEY (device_id, hour)"
    return (f"CREATE TABLE {NAME} ({columns}, {key})",)


def _aggregate() -> str:
    return f"""
CREATE MATERIALIZED VIEW {NAME}
  WITH (timescaledb.continuous, timescaledb.materialized_only = true) AS
SELECT tenant_id, device_id, time_bucket(interval '1 hour', epoch_start) AS hour,
       {aggregates()}
  FROM epochs
 GROUP BY tenant_id, device_id, time_bucket(interval '1 hour', epoch_start)
  WITH NO DATA"""  # noqa: S608 - every part is a constant of the schema


def drop(edition: Edition) -> tuple[str, ...]:
    """Return the statements that take the rollup away."""
    if edition is Edition.FULL:
        return (f"DROP MATERIALIZED VIEW {NAME}",)
    return (f"DROP TABLE {NAME}",)
