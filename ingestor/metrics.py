"""What the ingestor tells monitors; no label names a device."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from noctis.ages import AGES

__all__ = [
    "ACKNOWLEDGED_SECONDS",
    "ACKS_UNSENT",
    "AGE_SECONDS",
    "BATCHES",
    "COMMIT_SECONDS",
    "CONFLICTS",
    "DEAD_LETTERS",
    "DISPOSED",
    "DROPPED",
    "DUPLICATES",
    "FRAMES_PER_BATCH",
    "LAG_SECONDS",
    "LAST_COMMIT_SECONDS",
    "OLDEST_SECONDS",
    "RETRIES",
    "ROWS",
    "TIME_REJECTED",
    "TIME_REQUESTS",
    "WAITING",
]

_FAST: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 120)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

BATCHES: Final = Counter("noctis_ingest_batches_total", "Transactions committed.")
ROWS: Final = Counter("noctis_ingest_rows_total", "Epochs stored.")
DUPLICATES: Final = Counter(
    "noctis_ingest_duplicates_total", "Epochs that were stored already."
)
CONFLICTS: Final = Counter(
    "noctis_ingest_conflicts_total", "Epochs that were stored already with another payload."
)
DISPOSED: Final = Counter(
    "noctis_ingest_disposed_total",
    "Epochs of closed streams, or past their tenant's retention.",
)
DEAD_LETTERS: Final = Counter(
    "noctis_ingest_dead_letters_total", "Messages put aside, by reason.", ["reason"]
)
DROPPED: Final = Counter(
    "noctis_ingest_dropped_total", "Messages let go unstored; their devices send them again."
)
ACKS_UNSENT: Final = Counter(
    "noctis_ingest_acks_unsent_total", "Acknowledgements without a connection to send them on."
)
RETRIES: Final = Counter(
    "noctis_ingest_retries_total", "Commits that failed and were tried again."
)
TIME_REQUESTS: Final = Counter(
    "noctis_ingest_time_requests_total", "Devices that were told the time."
)
TIME_REJECTED: Final = Counter(
    "noctis_ingest_time_rejected_total",
    "Messages that are no request for the time.",
    ["reason"],
)
FRAMES_PER_BATCH: Final = Histogram(
    "noctis_ingest_batch_frames", "Messages of a transaction.", buckets=_SIZES
)
COMMIT_SECONDS: Final = Histogram(
    "noctis_ingest_commit_seconds", "From taking a batch to its commit.", buckets=_FAST
)
LAST_COMMIT_SECONDS: Final = Gauge(
    "noctis_ingest_last_commit_seconds", "From taking the last batch to its commit."
)
LAG_SECONDS: Final = Histogram(
    "noctis_ingest_lag_seconds",
    "From the arrival of a batch's oldest message to its commit.",
    buckets=_FAST,
)
ACKNOWLEDGED_SECONDS: Final = Histogram(
    "noctis_ingest_acknowledged_seconds",
    "From the arrival of a batch's oldest message to its acknowledgements being sent.",
    buckets=_FAST,
)
AGE_SECONDS: Final = Histogram(
    "noctis_ingest_age_seconds",
    "From the end of a live epoch, by its device's clock, to its commit: up to 32 of a batch.",
    buckets=AGES,
)
OLDEST_SECONDS: Final = Gauge(
    "noctis_ingest_oldest_unacknowledged_seconds", "Age of the oldest message in hand."
)
WAITING: Final = Gauge("noctis_ingest_waiting", "Messages in hand.")
