from collections.abc import Callable, Sequence

import numpy as np
import pytest

from inference.context import FEATURE_COUNT, Rows, night_sessions
from inference.explanation import Explanation, explain
from inference.model import DEFAULT_FOLDER, Model
from inference.tracks import COUNT as TRACK_COUNT
from inference.tracks import WINDOW
from noctis.errors import ModelError
from noctis.features import COUNT, FEATURES, NAMES
from registry.manifest import ARTEFACT, Part, Recipe
from tests.models import graph_of, manifest_of
from training.golden import made_up_night

MISSING = np.array([feature.missing for feature in FEATURES], np.int16)
HEART, MOTION, BREATH = (NAMES.index(name) for name in ("hr_mean", "act_count", "rr_mean"))
SESSION = night_sessions(made_up_night(90, seed=3))[-1]


class Formula:
    """A model whose log-odds of wake are a formula of which features are known."""

    def __init__(self, formula: Callable[[np.ndarray], float]) -> None:
        self._formula = formula

    def predict(self, sessions: Sequence[Rows]) -> np.ndarray:
        known = [(session != MISSING).any(axis=0) for session in sessions]
        wake = np.array([1 / (1 + np.exp(-self._formula(each))) for each in known])
        return np.column_stack((wake, *[(1 - wake) / 3] * 3))


def models() -> dict[str, Model]:
    net = graph_of((WINDOW, TRACK_COUNT), seed=1)
    graphs = {"trees.onnx": graph_of((FEATURE_COUNT,), seed=2), "net.onnx": net}
    parts = (Part(kind="trees", file="trees.onnx"), Part(kind="net", file="net.onnx"))
    blend = manifest_of(architecture="blend", recipe=Recipe(parts=parts, temperature=1.2))
    return {
        "trees": Model.load(DEFAULT_FOLDER),
        "net": Model(manifest_of(architecture="net"), {ARTEFACT: net}),
        "blend": Model(blend, graphs),
    }


def assert_additive(found: Explanation) -> None:
    total = found.base + found.contributions.sum(axis=0)
    assert np.allclose(total, found.log_odds, atol=1e-9)


@pytest.mark.parametrize("kind", ["trees", "net", "blend"])
def test_contributions_sum_to_what_the_model_says_whatever_it_is_made_of(kind: str) -> None:
    model = models()[kind]
    found = explain(model, SESSION, draws=3)
    assert_additive(found)
    nothing = np.tile(MISSING, (len(SESSION), 1))
    for session, meant in ((SESSION, found.log_odds), (nothing, found.base)):
        chance = model.predict([session])[0].astype(np.float64)
        assert np.allclose(np.log(chance / (1 - chance)), meant, atol=1e-3)
    assert np.abs(found.contributions).max() > 0.001


def test_what_each_feature_adds_by_itself_is_found_exactly() -> None:
    weights = np.linspace(-1, 1, COUNT)
    found = explain(Formula(lambda known: float(weights @ known)), SESSION, draws=2)
    assert np.allclose(found.contributions[:, 0], weights, atol=1e-9)
    assert np.allclose(found.errors[:, 0], 0, atol=1e-9)


def test_features_that_say_something_only_together_share_it() -> None:
    found = explain(Formula(lambda known: 2.0 * (known[HEART] & known[MOTION])), SESSION)
    assert found.contributions[[HEART, MOTION], 0] == pytest.approx([1, 1])
    others = np.delete(found.contributions, [HEART, MOTION], axis=0)
    assert np.allclose(others, 0)
    assert_additive(found)


def test_the_standard_error_tells_what_more_orders_would_change() -> None:
    def formula(known: np.ndarray) -> float:
        return 3.0 * known[HEART] * known[MOTION] * known[BREATH] - 2.0 * known[HEART]

    few = explain(Formula(formula), SESSION, draws=8)
    assert few.contributions[HEART, 0] == pytest.approx(-1, abs=5 * few.errors[HEART, 0] + 0.05)
    assert explain(Formula(formula), SESSION, draws=200).errors.max() < few.errors.max()
    assert_additive(few)


def test_what_was_never_measured_adds_nothing_and_is_not_asked_about() -> None:
    session = SESSION.copy()
    session[:, BREATH] = MISSING[BREATH]
    found = explain(Model.load(DEFAULT_FOLDER), session, draws=2)
    assert not found.contributions[BREATH].any()
    assert_additive(found)


def test_equal_seeds_explain_alike() -> None:
    model = Formula(lambda known: float(known.sum() ** 1.5))
    one, same, other = (explain(model, SESSION, draws=2, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.contributions, same.contributions)
    assert not np.array_equal(one.contributions, other.contributions)


def test_an_empty_session_cannot_be_explained() -> None:
    with pytest.raises(ModelError, match="nobody was in bed"):
        explain(Formula(lambda _: 0.0), SESSION[:0])
