"""The stager of whole nights: the same for the same night, however the night is written."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.catalogue import Catalogue
from evaluation.staging import stage_night
from inference import versions
from inference.context import IN_BED, Rows
from inference.model import DEFAULT_FOLDER, Model
from inference.night import (
    NIGHT_FOLDER,
    NIGHT_NAME,
    NO_STAGE,
    NightModel,
    codes_of,
    stage_whole_night,
)
from inference.night_tracks import COUNT, NAMES, night_tracks
from inference.stage import is_stageable
from noctis.errors import ModelError
from noctis.features import FEATURES
from registry.manifest import ARTEFACT
from registry.store import Registry
from tests.models import alter_manifest, write_night_model
from tests.nights import made_up_rows

ABSENT = np.array([*(feature.missing for feature in FEATURES), 0], np.int16)


@pytest.fixture(scope="module")
def shipped() -> NightModel:
    return NightModel.load(NIGHT_FOLDER)


def night(epochs: int, seed: int) -> Rows:
    """A night with epochs that are missing and times out of bed, more than a session bears."""
    rows = made_up_rows(epochs, seed=seed)
    random = np.random.default_rng(seed)
    rows[random.random(epochs) < 0.1] = ABSENT
    begin = int(random.integers(epochs))
    rows[begin : begin + 30, IN_BED] = 0
    return rows


@settings(max_examples=25, deadline=None)
@given(
    epochs=st.integers(1, 700),
    before=st.integers(0, 40),
    behind=st.integers(0, 40),
    seed=st.integers(0, 1 << 16),
)
def test_what_lies_beyond_a_night_does_not_matter(
    shipped: NightModel, epochs: int, before: int, behind: int, seed: int
) -> None:
    rows = night(epochs, seed)
    around = np.concatenate((np.tile(ABSENT, (before, 1)), rows, np.tile(ABSENT, (behind, 1))))
    alone, padded = stage_whole_night(shipped, rows), stage_whole_night(shipped, around)
    part = slice(before, before + epochs)
    assert np.array_equal(alone.stages, padded.stages[part])
    assert np.array_equal(alone.probabilities, padded.probabilities[part], equal_nan=True)
    assert (np.delete(padded.stages, np.r_[part]) == NO_STAGE).all()


def test_what_is_measured_of_an_empty_bed_does_not_matter(shipped: NightModel) -> None:
    rows = night(400, seed=8)
    other = rows.copy()
    empty = rows[:, IN_BED] == 0
    assert 30 < empty.sum() < 200
    other[empty, :IN_BED] = 1
    first, second = stage_whole_night(shipped, rows), stage_whole_night(shipped, other)
    assert np.array_equal(first.probabilities, second.probabilities, equal_nan=True)


def test_each_epoch_that_can_be_staged_has_four_shares_of_one(shipped: NightModel) -> None:
    rows = night(900, seed=3)
    staging = stage_whole_night(shipped, rows)
    known = np.array([is_stageable(row) for row in rows])
    assert 0 < known.sum() < len(rows)
    assert np.array_equal(staging.stages != NO_STAGE, known)
    assert np.allclose(staging.probabilities[known].sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(
        staging.probabilities[known].argmax(axis=1), staging.stages[known].astype(int)
    )


@pytest.mark.parametrize("epochs", [0, 1, 2, 254, 4800])
def test_a_night_may_be_of_any_length(shipped: NightModel, epochs: int) -> None:
    rows = np.tile(made_up_rows(200, seed=1)[10:90], (60, 1))[:epochs]
    assert shipped.predict(codes_of(rows)[1]).shape == (epochs, 4)


def test_nobody_in_bed_gives_no_stage(shipped: NightModel) -> None:
    rows = made_up_rows(50, seed=1)
    rows[:, IN_BED] = 0
    assert (stage_whole_night(shipped, rows).stages == NO_STAGE).all()


def test_an_epoch_is_staged_by_what_comes_behind_it_too(shipped: NightModel) -> None:
    rows = made_up_rows(400, seed=5)
    changed = rows.copy()
    changed[300:360, :IN_BED] = ABSENT[:IN_BED]
    first, second = (stage_whole_night(shipped, it).probabilities for it in (rows, changed))
    assert not np.allclose(first[280:299], second[280:299], equal_nan=True)


def test_a_night_turned_round_has_its_tracks_turned_round() -> None:
    codes = codes_of(night(300, seed=2))[1]
    there, back = night_tracks(codes), night_tracks(codes[::-1])[::-1]
    ahead = [i for i, name in enumerate(NAMES) if f"{name}_behind" in NAMES]
    behind = [NAMES.index(f"{NAMES[i]}_behind") for i in ahead]
    assert len(ahead) > 100
    assert np.array_equal(there[:, ahead], back[:, behind], equal_nan=True)
    ranks = [i for i, name in enumerate(NAMES) if "_rank_" in name and "between" not in name]
    assert np.allclose(there[:, ranks], back[:, ranks], equal_nan=True)


def test_ranks_of_a_night_lie_between_nought_and_one() -> None:
    table = night_tracks(codes_of(night(300, seed=4))[1])
    ranks = table[:, [i for i, name in enumerate(NAMES) if "_rank_" in name]]
    known = ranks[~np.isnan(ranks)]
    assert 0 < known.min() < 0.02
    assert 0.98 < known.max() < 1


def test_a_model_of_nights_stages_no_live_epochs_and_a_live_one_no_nights() -> None:
    with pytest.raises(ModelError, match="whole nights that are over"):
        Model.load(NIGHT_FOLDER)
    with pytest.raises(ModelError, match="no whole nights"):
        NightModel.load(DEFAULT_FOLDER)
    assert isinstance(versions.load(NIGHT_FOLDER), NightModel)
    assert isinstance(versions.load(DEFAULT_FOLDER), Model)


def test_a_model_whose_tracks_are_unknown_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    features = write_night_model(folder, "v1").features
    assert len(features) == COUNT
    alter_manifest(folder, features=[*features[:-1], "phase_of_the_moon"])
    with pytest.raises(ModelError, match="other tracks: phase_of_the_moon"):
        NightModel.load(folder)


def test_a_tampered_graph_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write_night_model(folder, "v1")
    (folder / ARTEFACT).write_bytes((folder / ARTEFACT).read_bytes()[:-1] + b"\0")
    with pytest.raises(ModelError, match="was changed after publication"):
        NightModel.load(folder)


def test_the_registry_finds_versions_of_either_kind(tmp_path: Path) -> None:
    registry = Registry(tmp_path, NIGHT_NAME)
    write_night_model(tmp_path / "draft", "v1")
    registry.publish(tmp_path / "draft")
    assert versions.folder_of(tmp_path, NIGHT_NAME, "v1") == registry.version_folder("v1")
    known = NightModel.load(NIGHT_FOLDER).version
    assert versions.folder_of(tmp_path, NIGHT_NAME, known) == NIGHT_FOLDER
    with pytest.raises(ModelError, match="known versions: v1"):
        versions.folder_of(tmp_path, NIGHT_NAME, "v2")


def test_callers_of_the_facade_see_both_shipped_models(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert catalogue.names() == [NIGHT_NAME, "stager"]
    [version] = catalogue.versions(NIGHT_NAME)
    entry = catalogue.entry(NIGHT_NAME, version)
    assert entry.is_shipped
    assert "champion" in entry.aliases


def test_an_evaluation_stages_a_night_as_the_companion_does(shipped: NightModel) -> None:
    rows = night(300, seed=6)
    evaluated, revised = stage_night(shipped, rows), stage_whole_night(shipped, rows)
    assert np.array_equal(evaluated.stages, revised.stages)
