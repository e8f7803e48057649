"""The line, from device to stage: whether everything is stored and staged, how fast."""

from typing import Final

from scripts.dashboards.parts import Dashboard, Panel, Query, Row, quantiles, rate

__all__ = ["LINE"]

_NOW: Final = Row(
    "Now",
    (
        Panel(
            "Services that do not answer",
            "Anything but 0 is the first thing to look at.",
            (Query("count(up == 0) or vector(0)"),),
            kind="stat",
            bad_from=1,
        ),
        Panel(
            "Alerts",
            "docs/observability.md says what each means and what to do.",
            (Query('count(ALERTS{alertstate="firing"}) or vector(0)'),),
            kind="stat",
            bad_from=1,
        ),
        Panel(
            "Devices online",
            "As they, or their last wills, said.",
            (Query('sum(noctis_devices{state="online"})'),),
            kind="stat",
        ),
        Panel(
            "Devices not heard of",
            "Silent for eleven minutes, or lost.",
            (Query('sum(noctis_devices{state=~"silent|lost"})'),),
            kind="stat",
            bad_from=1,
        ),
        Panel(
            "Epochs stored",
            "Two a minute of each device; more while backlog comes.",
            (rate("noctis_ingest_rows_total"),),
            unit="cps",
            kind="stat",
        ),
        Panel(
            "Oldest epoch in hand",
            "Over a few seconds: nothing is being committed.",
            (Query("max(noctis_ingest_oldest_unacknowledged_seconds)"),),
            unit="s",
            kind="stat",
            bad_from=30,
        ),
    ),
)

LINE: Final = Dashboard(
    "noctis-line",
    "Noctis: the line",
    "From device to stage: is everything that devices make stored and staged, and how fast?",
    (
        _NOW,
        Row(
            "How fast",
            (
                Panel(
                    "End to end, by the devices' clocks",
                    "From an epoch's end to its commit and to its stage in the app.",
                    (
                        *quantiles("noctis_ingest_age_seconds", "stored"),
                        *quantiles("noctis_live_age_seconds", "staged"),
                    ),
                    unit="s",
                ),
                Panel(
                    "By part of the line",
                    "Where the time goes: the commit, the live stage, the stored stage.",
                    (
                        *quantiles("noctis_ingest_lag_seconds", "arrival to commit"),
                        *quantiles("noctis_ingest_commit_seconds", "commit"),
                        *quantiles("noctis_live_prediction_seconds", "live stage"),
                        *quantiles("noctis_settler_hint_seconds", "stored stage"),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "How much",
            (
                Panel(
                    "Epochs",
                    "Stored, staged live, staged for good; equal while nothing comes late.",
                    (
                        rate("noctis_ingest_rows_total", legend="stored"),
                        rate("noctis_live_received_total", legend="received live"),
                        rate("noctis_live_published_total", legend="staged live"),
                        rate("noctis_live_recalled_total", legend="recalled for a context"),
                        rate("noctis_settler_settled_total", legend="stages stored"),
                        rate("noctis_settler_watched_total", legend="stages of shadows"),
                    ),
                    unit="cps",
                ),
                Panel(
                    "In hand",
                    "Messages of the ingestor, epochs without a stage, contexts in memory.",
                    (
                        Query("sum(noctis_ingest_waiting)", "messages to store"),
                        Query("sum(noctis_settler_waiting_epochs)", "epochs to stage"),
                        Query("sum(noctis_live_devices)", "devices in memory"),
                    ),
                ),
                Panel(
                    "Messages of a transaction",
                    "Grows with the load; the price of a commit is shared by them.",
                    (
                        *quantiles("noctis_ingest_batch_frames", "messages"),
                        rate("noctis_ingest_batches_total", legend="transactions a second"),
                    ),
                ),
            ),
        ),
        Row(
            "What goes wrong",
            (
                Panel(
                    "Sent again, refused, put aside",
                    "Repeats are harmless; conflicts and dead letters have a reason.",
                    (
                        rate("noctis_ingest_duplicates_total", legend="stored already"),
                        rate("noctis_ingest_conflicts_total", legend="conflicts"),
                        rate("noctis_ingest_disposed_total", legend="not to be stored"),
                        rate("noctis_ingest_dropped_total", legend="let go"),
                        rate("noctis_ingest_acks_unsent_total", legend="acks unsent"),
                        rate("noctis_ingest_dead_letters_total", "reason", rare=True),
                        rate("noctis_live_bad_frames_total", "reason", rare=True),
                        rate("noctis_live_unpublished_total", legend="stages unpublished"),
                    ),
                    unit="cps",
                ),
                Panel(
                    "Breakers",
                    "0 closed, 1 probing, 2 open: the database is away.",
                    (
                        Query(
                            "max by (job, breaker) (noctis_breaker_state)",
                            "{{job}}: {{breaker}}",
                        ),
                    ),
                    bad_from=1,
                ),
                Panel(
                    "Tried again",
                    "Commits and turns of the settler that failed; how often breakers opened.",
                    (
                        rate("noctis_ingest_retries_total", legend="commits"),
                        rate("noctis_settler_failures_total", legend="settler"),
                        rate("noctis_breaker_opened_total", "job", rare=True),
                    ),
                    unit="cps",
                ),
            ),
        ),
    ),
)
