import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.architectures import signature
from inference.context import FEATURE_NAMES, night_sessions
from inference.graph import Graph
from inference.model import AT_ONCE, DEFAULT_FOLDER, Model
from noctis.errors import ModelError
from noctis.features import COUNT, NAMES, dequantise, quantise
from noctis.stages import LABELS
from registry.manifest import ARTEFACT, CARD, MANIFEST, read_golden, read_manifest
from tests.models import (
    alter_golden,
    alter_manifest,
    copy_of_the_shipped,
    graph_of,
    write_model,
)


def shipped_night() -> np.ndarray:
    golden = read_golden(DEFAULT_FOLDER)
    return np.column_stack((golden.codes, golden.in_bed)).astype(np.int16)


def test_the_shipped_model_loads_and_is_small() -> None:
    model = Model.load(DEFAULT_FOLDER)
    assert model.full_name == f"{model.name}@{model.version}"
    assert model.manifest.features == signature(model.manifest.parts)
    sizes = [(DEFAULT_FOLDER / part.file).stat().st_size for part in model.manifest.parts]
    assert sum(sizes) < 1_500_000
    assert model.full_name in (DEFAULT_FOLDER / CARD).read_text()


def test_probabilities_are_probabilities() -> None:
    sessions = night_sessions(shipped_night())
    probabilities = Model.load(DEFAULT_FOLDER).predict(sessions)
    assert probabilities.shape == (len(sessions), len(LABELS))
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities > 0).all()


def test_a_graph_is_run_for_some_sessions_at_a_time_however_many_are_asked_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = []

    def run(graph: Graph, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        sizes.append(len(rows))
        return asked(graph, rows)

    asked = Graph.__call__
    model = Model.load(DEFAULT_FOLDER)
    sessions = night_sessions(np.zeros((2 * AT_ONCE + 1, COUNT + 1), np.int16))
    monkeypatch.setattr(Graph, "__call__", run)
    assert model.predict(sessions).shape == (2 * AT_ONCE + 1, len(LABELS))
    assert set(sizes) == {AT_ONCE, 1}
    assert model.predict([]).shape == (0, len(LABELS))


def test_one_row_gets_what_a_batch_gets() -> None:
    sessions = night_sessions(shipped_night())
    model = Model.load(DEFAULT_FOLDER)
    batch = model.predict(sessions)
    single = np.concatenate([model.predict([session]) for session in sessions])
    assert np.allclose(single, batch, atol=1e-6)
    assert model.predict([]).shape == (0, len(LABELS))


def made_up_sleeper(*, breathing: bool, motion: bool) -> np.ndarray:
    """Thirty restless minutes, two hours of calm and slow sleep, an hour of lively sleep."""
    random = np.random.default_rng(5)
    awake, deep, lively = slice(0, 60), slice(60, 300), slice(300, 420)
    values = np.full((420, COUNT), np.nan)
    column = {name: values[:, index] for index, name in enumerate(NAMES)}
    for part, rate, spread in ((awake, 78, 5), (deep, 54, 0.6), (lively, 63, 2.5)):
        count = len(range(420)[part])
        column["hr_mean"][part] = rate + spread * random.normal(size=count)
        column["hr_sd"][part] = spread * (0.8 + 0.4 * random.random(count))
        column["hr_rmssd"][part] = column["hr_sd"][part]
        column["hr_range"][part] = 3 * column["hr_sd"][part]
    if motion:
        column["act_count"][:] = column["move_frac"][:] = 0
        column["act_count"][awake] = 80 * random.random(60)
        column["move_frac"][awake] = random.random(60)
    if breathing:
        column["rr_mean"][:] = 14 + random.normal(size=420)
        column["rr_regularity"][:] = 0.8
    column["quality"][:] = 1
    return np.column_stack((quantise(values), np.ones(420))).astype(np.int16)


@pytest.mark.parametrize("breathing", [False, True])
@pytest.mark.parametrize("motion", [False, True])
def test_a_night_gets_sane_stages_with_and_without_breathing_and_motion(
    *, breathing: bool, motion: bool
) -> None:
    rows = made_up_sleeper(breathing=breathing, motion=motion)
    at = [*range(10, 60, 5), *range(200, 300, 10)]
    probabilities = Model.load(DEFAULT_FOLDER).predict(night_sessions(rows, at))
    awake, deep = probabilities[:10].mean(axis=0), probabilities[10:].mean(axis=0)
    assert awake[0] > 0.5
    assert deep[0] < 0.15
    assert deep[2] > awake[2] + 0.2


def test_a_flipped_byte_is_refused_when_loading(tmp_path: Path) -> None:
    folder = copy_of_the_shipped(tmp_path)
    content = bytearray((folder / ARTEFACT).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / ARTEFACT).write_bytes(content)
    with pytest.raises(ModelError, match="was changed"):
        Model.load(folder)


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    folder = copy_of_the_shipped(tmp_path)
    (folder / ARTEFACT).write_bytes(b"no model")
    files = json.loads((folder / MANIFEST).read_text())["files"]
    digest = sha256(b"no model").hexdigest()
    alter_manifest(folder, files=files | {ARTEFACT: digest})
    with pytest.raises(ModelError, match="no model that ONNX Runtime reads"):
        Model.load(folder)


def test_a_model_of_other_features_or_classes_is_refused(tmp_path: Path) -> None:
    folder = copy_of_the_shipped(tmp_path)
    names = read_manifest(folder).features
    alter_manifest(folder, features=[*names[:-1], "snoring"])
    with pytest.raises(ModelError, match=r"other features.*snoring"):
        Model.load(folder)
    alter_manifest(folder, features=names[::-1])
    with pytest.raises(ModelError, match="their order"):
        Model.load(folder)
    alter_manifest(folder, features=names, classes=["wake", "asleep"])
    with pytest.raises(ModelError, match="wake, asleep apart"):
        Model.load(folder)


def test_golden_probabilities_guard_loading(tmp_path: Path) -> None:
    folder = copy_of_the_shipped(tmp_path)
    golden = read_golden(folder)
    golden.probabilities[3][1] += 0.001
    alter_golden(folder, golden)
    with pytest.raises(ModelError, match="misses its golden vectors"):
        Model.load(folder)


def test_golden_features_guard_against_another_computation(tmp_path: Path) -> None:
    folder = tmp_path / "trees"
    write_model(folder, "trees", {ARTEFACT: graph_of((len(FEATURE_NAMES),))})
    golden = read_golden(folder)
    assert golden.features is not None
    place = FEATURE_NAMES.index("heart_z")
    golden.features[5][place] = (golden.features[5][place] or 0) + 0.01
    alter_golden(folder, golden)
    with pytest.raises(ModelError, match="heart_z is computed in another way"):
        Model.load(folder)


def test_the_golden_night_is_on_the_scale_of_the_schema() -> None:
    rows = shipped_night()
    assert np.isfinite(dequantise(rows[:, :COUNT])).mean() > 0.8
