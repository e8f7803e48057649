"""Tables of epochs as files: CSV for anybody, Parquet for those who count.

Both hold the same columns in the same order (``COLUMNS``); docs/data-care.md specifies them.
"""

import csv
import io
from collections.abc import Sequence
from typing import IO, Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from noctis.errors import ConfigurationError
from noctis.features import FEATURES, NAMES, SCHEMA_VERSION, Feature, dequantise
from noctis.slot import encode_slots
from noctis.stages import LABELS
from noctis.storage.export import PLACEMENTS, Judged, Page

__all__ = ["COLUMNS", "STAGE_COLUMNS", "Format", "TableFile", "table_file"]

Format = Literal["csv", "parquet"]

_BEFORE: Final = ("device", "stream", "seq", "epoch_start", "placement", "run_seq")
COLUMNS: Final = (*_BEFORE, "record_hex", "in_bed", *NAMES, "received_at")
STAGE_COLUMNS: Final = ("stage", *(f"p_{label}" for label in LABELS), "model")
"""What follows them where stages are asked for."""

ROW_GROUP: Final = 1 << 16
"""Rows that a Parquet file keeps together, and the most that its writer holds."""


class TableFile(Protocol):
    """A table that is being written."""

    def write(self, page: Page) -> None:
        """Append a page of epochs."""

    def close(self) -> None:
        """Write what is still held; the stream below stays open."""


def table_file(form: Format, stream: IO[bytes], *, stages: bool = False) -> TableFile:
    """Return a table that is written to ``stream``, which need not be seekable.

    Raise ConfigurationError for Parquet where pyarrow is not installed.
    """
    return CsvFile(stream, stages=stages) if form == "csv" else ParquetFile(stream, stages)


class CsvFile:
    """CSV in UTF-8: times as ISO 8601 in UTC, nothing where there is no value."""

    def __init__(self, stream: IO[bytes], *, stages: bool) -> None:
        self._text = io.TextIOWrapper(stream, "utf-8", newline="", write_through=True)
        self._writer = csv.writer(self._text, lineterminator="\n")
        self._writer.writerow((*COLUMNS, *(STAGE_COLUMNS if stages else ())))

    def write(self, page: Page) -> None:
        """Append a page of epochs."""
        values = [texts[page.codes[:, column]].tolist() for column, texts in enumerate(_TEXTS)]
        columns: list[Sequence[object]] = [
            [page.device] * len(page),
            _hex_streams(page),
            page.seq.tolist(),
            _iso(page.epoch_start, "s"),
            [PLACEMENTS[index] for index in page.placement.tolist()],
            page.run_seq.tolist(),
            _records(page),
            [str(flag).lower() for flag in page.in_bed.tolist()],
            *values,
            _iso(page.received_at, "us"),
        ]
        if page.judged is not None:
            columns += _stage_texts(page.judged)
        self._writer.writerows(zip(*columns, strict=True))

    def close(self) -> None:
        """Write what is still held; the stream below stays open."""
        self._text.detach()


def _stage_texts(judged: Judged) -> list[Sequence[object]]:
    chances = judged.probabilities
    rounded = np.char.mod("%.4f", chances)
    texts = np.where(np.isnan(chances), "", rounded)
    return [_labels(judged, ""), *texts.T.tolist(), judged.model]


class ParquetFile:
    """Parquet in row groups of ``ROW_GROUP``; a field's metadata has its unit and title."""

    def __init__(self, stream: IO[bytes], stages: bool) -> None:  # noqa: FBT001 - ours alone
        try:
            import pyarrow as pa  # noqa: PLC0415 - an extra of the installation
            import pyarrow.parquet as pq  # noqa: PLC0415
        except ImportError as error:
            message = "Parquet needs pyarrow, which is not installed"
            hint = "install the extra 'parquet' of noctis, or take --format csv"
            raise ConfigurationError(message, hint=hint) from error
        self._arrow: Any = pa
        self._schema: Any = _schema(pa, stages=stages)
        self._writer: Any = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._held: list[Any] = []
        self._rows = 0

    def write(self, page: Page) -> None:
        """Append a page of epochs."""
        self._held.append(self._batch(page))
        self._rows += len(page)
        if self._rows >= ROW_GROUP:
            self._flush()

    def close(self) -> None:
        """Write what is still held; the stream below stays open."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._held:
            table = self._arrow.Table.from_batches(self._held, self._schema)
            self._writer.write_table(table, row_group_size=ROW_GROUP)
        self._held, self._rows = [], 0

    def _batch(self, page: Page) -> Any:  # noqa: ANN401 - pyarrow is not typed
        columns: list[Any] = [
            [page.device] * len(page),
            _hex_streams(page),
            page.seq,
            page.epoch_start,
            [PLACEMENTS[index] for index in page.placement.tolist()],
            page.run_seq,
            _records(page),
            page.in_bed,
            *dequantise(page.codes).T,
            page.received_at,
        ]
        if page.judged is not None:
            columns += [
                _labels(page.judged, None),
                *page.judged.probabilities.T,
                [model or None for model in page.judged.model],
            ]
        # from_pandas: NaN is no value.
        arrays = [
            self._arrow.array(column, from_pandas=True).cast(field.type)
            for column, field in zip(columns, self._schema, strict=True)
        ]
        return self._arrow.record_batch(arrays, schema=self._schema)


def _schema(pa: Any, *, stages: bool) -> Any:  # noqa: ANN401 - pyarrow is not typed
    known = {
        "seq": pa.int64(),
        "run_seq": pa.int64(),
        "epoch_start": pa.timestamp("s", "UTC"),
        "received_at": pa.timestamp("us", "UTC"),
        "in_bed": pa.bool_(),
        **{f"p_{label}": pa.float32() for label in LABELS},
    }
    features = {feature.name: feature for feature in FEATURES}
    fields = [
        pa.field(name, pa.float64(), metadata={"unit": one.unit, "title": one.title})
        if (one := features.get(name)) is not None
        else pa.field(name, known.get(name, pa.string()))
        for name in (*COLUMNS, *(STAGE_COLUMNS if stages else ()))
    ]
    return pa.schema(fields, metadata={"noctis.features": str(SCHEMA_VERSION)})


def _texts(feature: Feature) -> NDArray[np.object_]:
    """Return the text of each code's value: nine digits tell any two of them apart."""
    values = feature.values(np.arange(feature.missing + 1)).tolist()
    texts = [f"{value:.9g}" for value in values]
    texts[feature.missing] = ""
    return np.array(texts, dtype=object)


_TEXTS: Final = tuple(_texts(feature) for feature in FEATURES)


def _hex_streams(page: Page) -> list[str]:
    return [f"{stream:016x}" for stream in page.stream.tolist()]


def _records(page: Page) -> list[str]:
    """Return the slots exactly as the device made them, as hex digits."""
    return [bytes(slot).hex() for slot in encode_slots(page.codes, page.in_bed)]


def _labels(judged: Judged, nothing: str | None) -> list[str | None]:
    return [nothing if stage < 0 else LABELS[stage] for stage in judged.stage.tolist()]


def _iso(moments: NDArray[np.datetime64], unit: Literal["s", "us"]) -> list[str]:
    texts: list[str] = np.datetime_as_string(moments, unit=unit, timezone="UTC").tolist()
    return texts
