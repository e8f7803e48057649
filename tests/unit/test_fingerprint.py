import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.model import DEFAULT_FOLDER
from noctis.errors import ModelError
from noctis.features import COUNT, FEATURES, NAMES
from noctis.histograms import PLACES, SIZE, count, known, missing
from noctis.stages import LABELS
from registry import fingerprint
from registry.fingerprint import FINGERPRINT, Fingerprint
from registry.manifest import Figures, read_manifest, verify

HIGHEST = np.array([feature.missing for feature in FEATURES])


def made_up(epochs: int, *, seed: int) -> NDArray[np.int16]:
    random = np.random.default_rng(seed)
    return random.integers(0, HIGHEST + 1, (epochs, COUNT)).astype(np.int16)


def figures() -> Figures:
    return read_manifest(DEFAULT_FOLDER).figures


def written(folder: Path, change: Callable[[dict[str, Any]], object] | None = None) -> Path:
    document = json.loads((DEFAULT_FOLDER / FINGERPRINT).read_bytes())
    if change is not None:
        change(document)
    (folder / FINGERPRINT).write_text(json.dumps(document))
    return folder


@given(epochs=st.integers(0, 60), seed=st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_histograms_count_each_code_of_each_channel(epochs: int, seed: int) -> None:
    codes = made_up(epochs, seed=seed)
    histograms = count(codes)
    assert histograms.shape == (SIZE,)
    for channel, place in enumerate(PLACES):
        expected = [int((codes[:, channel] == code).sum()) for code in range(HIGHEST[channel])]
        assert known(histograms, channel).tolist() == expected
        assert place.stop - place.start == HIGHEST[channel] + 1
        if epochs:
            share = (codes[:, channel] == HIGHEST[channel]).mean()
            assert missing(histograms, channel) == pytest.approx(share)


def test_the_missing_share_of_no_epoch_is_unknown() -> None:
    assert np.isnan(missing(count(made_up(0, seed=0)), 3))


def test_a_fingerprint_is_read_as_it_was_written(tmp_path: Path) -> None:
    codes = {name: made_up(50 + len(name), seed=len(name)) for name in ("b", "aa", "ccc")}
    made = fingerprint.of_training(codes, figures())
    (tmp_path / FINGERPRINT).write_bytes(made.as_json())
    read = fingerprint.read(tmp_path)
    assert read.names == ("aa", "b", "ccc")
    assert (read.total == count(np.concatenate(list(codes.values())))).all()
    assert (read.subjects == made.subjects).all()
    assert (read.subjects[1] == count(codes["b"])).all()
    assert read.as_json() == made.as_json()


def test_of_many_subjects_some_are_kept_and_all_are_counted() -> None:
    codes = {f"s{number:03}": made_up(3, seed=number) for number in range(200)}
    made = fingerprint.of_training(codes, figures())
    assert len(made.names) == len(set(made.names)) == len(made.subjects) == 64
    assert (made.names[0], made.names[-1]) == ("s000", "s199")
    assert made.total[PLACES[0]].sum() == 600


def test_the_shipped_model_has_the_fingerprint_of_its_nights() -> None:
    manifest = verify(DEFAULT_FOLDER)
    assert FINGERPRINT in manifest.files
    found: Fingerprint = fingerprint.read(DEFAULT_FOLDER)
    assert set(found.names) == {night.subject for night in manifest.nights}
    assert (found.subjects.sum(axis=0) == found.total).all()
    told = sum(np.array(matrix).sum(axis=0) for matrix in manifest.figures.subjects.values())
    assert found.stages.tolist() == told.tolist()
    assert found.stage_shares.sum() == pytest.approx(1)
    heart = FEATURES[0].values(np.arange(HIGHEST[0]))
    mean = (known(found.total, 0) * heart).sum() / known(found.total, 0).sum()
    assert 45 < mean < 75
    assert missing(found.total, NAMES.index("rr_mean")) == 1


def test_a_version_without_a_fingerprint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no fingerprint\.json.*noctis model train"):
        fingerprint.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(feature_version=1), "fingerprint of version 1 of codes 1"),
        (lambda it: it.update(schema_version=2), "fingerprint of version 2"),
        (lambda it: it["stages"].pop("rem"), "at stages: not a count"),
        (lambda it: it["stages"].update(dict.fromkeys(LABELS, 0)), "stages"),
        (lambda it: it["all"]["channels"].pop("hr_mean"), r"all\.channels"),
        (lambda it: it["all"]["channels"]["hr_mean"].update(missing=-1), "hr_mean.missing"),
        (lambda it: it["all"]["channels"]["hr_mean"].update(missing=5), "epochs, not"),
        (lambda it: it["all"]["channels"]["enmo"].update(first=250), "codes above 254"),
        (lambda it: it.pop("all"), "not valid at all"),
    ],
)
def test_what_is_no_fingerprint_is_refused_by_name(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        fingerprint.read(written(tmp_path, change))


def test_a_fingerprint_that_was_changed_is_refused_with_its_version(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(DEFAULT_FOLDER, folder)
    verify(folder)
    written(folder, lambda it: it["stages"].update(wake=7))
    with pytest.raises(ModelError, match=r"fingerprint\.json was changed"):
        verify(folder)
