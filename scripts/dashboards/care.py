"""Nights, rollups, retention, operations, models, and what processes use."""

from typing import Final

from scripts.dashboards.parts import RATE, Dashboard, Panel, Query, Row, age, quantiles, rate

__all__ = ["CARE"]

_CPU: Final = "process_cpu_seconds_total"
_PROCESSES: Final = '{job=~"api|broker|companion|inference|ingestor|runner"}'
CARE: Final = Dashboard(
    "noctis-care",
    "Noctis: behind the scenes",
    "Nights, rollups, retention, operations, models, and what the processes use.",
    (
        Row(
            "The companion's duties",
            (
                Panel(
                    "Time since the last turn that ended well",
                    "Minutes: it is stuck; retention and purges take their turn once an hour.",
                    (age("noctis_companion_success_timestamp_seconds", "{{part}}"),),
                    unit="s",
                ),
                Panel(
                    "Failed turns",
                    "They are tried again; the log says why.",
                    (rate("noctis_companion_failures_total", "part", rare=True),),
                    unit="cps",
                ),
                Panel(
                    "Lag of rollups, settler and accounts",
                    "How old what they rest on is; rollups stay an hour or two behind.",
                    (
                        age("max(noctis_rollups_until_timestamp_seconds)", "rollups"),
                        age("noctis_settler_success_timestamp_seconds", "settler"),
                        age("noctis_broker_accounts_timestamp_seconds", "accounts"),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "Nights and care",
            (
                Panel(
                    "Nights",
                    "Made, revised, withdrawn; those that wait; night-stager failures.",
                    (
                        rate("noctis_nights_changes_total", "change", rare=True),
                        Query("noctis_nights_stale", "waiting"),
                        rate("noctis_nights_unrevised_total", legend="unrevised"),
                        rate("noctis_rollups_late_hours_total", legend="hours rolled up again"),
                    ),
                ),
                Panel(
                    "Time to find a device's nights again",
                    "Rises with what is stored around a change.",
                    quantiles("noctis_nights_seconds", "nights"),
                    unit="s",
                ),
                Panel(
                    "Deleted",
                    "Rows and chunks past retention, rows of erasures.",
                    (
                        rate("noctis_retention_rows_total", "table", rare=True),
                        rate("noctis_retention_chunks_total", legend="chunks"),
                        rate("noctis_erasure_rows_total", "table", rare=True),
                        rate("noctis_erasures_done_total", legend="erasures done"),
                        rate("noctis_purge_rows_total", "table", rare=True),
                    ),
                    unit="cps",
                ),
                Panel(
                    "Open",
                    "Operations and erasures that are not done.",
                    (
                        Query("noctis_operations_open", "operations"),
                        Query("noctis_erasures_open", "erasures"),
                        rate("noctis_runner_operations_total", "how", rare=True),
                    ),
                ),
            ),
        ),
        Row(
            "Models",
            (
                Panel(
                    "In use",
                    "Processes by model; two stagers for more than seconds: a worker is stuck.",
                    (Query("sum by (model) (noctis_inference_model) > 0", "{{model}}"),),
                ),
                Panel(
                    "Refused",
                    "Processes whose champion does not load; experiments that failed.",
                    (
                        Query("sum by (job) (noctis_inference_champion_refused)", "{{job}}"),
                        rate("noctis_inference_model_refused_total", legend="loads refused"),
                        rate("noctis_experiments_refused_total", legend="experiments"),
                        Query("sum by (job) (noctis_service_degraded)", "{{job}} is degraded"),
                        Query("sum(noctis_experiments)", "experiments that run"),
                    ),
                ),
                Panel(
                    "Drift",
                    "Newest reports by verdict.",
                    (
                        Query(
                            "sum by (kind, verdict) (noctis_drift_reports)",
                            "{{kind}}: {{verdict}}",
                            rare=True,
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Resources",
            (
                Panel(
                    "Processor",
                    "Cores in use; a Python process has little use of more than one.",
                    (
                        Query(
                            f"sum by (job) (rate({_CPU}{_PROCESSES}[{RATE}]))",
                            "{{job}}",
                        ),
                    ),
                ),
                Panel(
                    "Memory",
                    "Resident.",
                    (
                        Query(
                            f"sum by (job) (process_resident_memory_bytes{_PROCESSES})",
                            "{{job}}",
                        ),
                    ),
                    unit="bytes",
                ),
                Panel(
                    "Room on the disks",
                    "Free for each service's own folder; with `noctis up`, the database's too.",
                    (Query("min by (job) (noctis_disk_free_bytes)", "{{job}}"),),
                    unit="bytes",
                ),
                Panel(
                    "Database",
                    "Its size; how much a device needs, docs/storage.md says.",
                    (Query("noctis_database_bytes", "database"),),
                    unit="bytes",
                ),
                Panel(
                    "Versions",
                    "Of what runs; two during an upgrade.",
                    (Query("count by (version) (noctis_build_info)", "{{version}}"),),
                ),
            ),
        ),
        Row(
            "The broker",
            (
                Panel(
                    "Clients",
                    "Connected, and with a session that the broker keeps for them.",
                    (
                        Query("noctis_broker_clients", "connected"),
                        Query("noctis_broker_sessions", "sessions"),
                        Query("noctis_broker_connections", "connections"),
                    ),
                ),
                Panel(
                    "Kept for others",
                    "Grows while an ingestor is away; the broker drops beyond 100,000.",
                    (
                        Query("noctis_broker_queued_messages", "messages"),
                        rate("noctis_broker_dropped_total", legend="dropped a second"),
                    ),
                ),
                Panel(
                    "Until the certificates end",
                    "The broker's, its CA, its list of the revoked.",
                    (
                        Query(
                            "noctis_certificate_ends_timestamp_seconds - time()",
                            "{{certificate}}",
                            rare=True,
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
    ),
)
