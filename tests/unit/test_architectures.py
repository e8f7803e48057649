from pathlib import Path

import numpy as np
import onnx
import pytest
from pydantic import ValidationError

from inference.architectures import Batch, Net, Trees, architecture_of, signature
from inference.context import FEATURE_COUNT, FEATURE_NAMES, night_sessions
from inference.graph import Graph
from inference.model import Model
from inference.scaling import METADATA, Scaling
from inference.tracks import COUNT as TRACK_COUNT
from inference.tracks import NAMES as TRACK_NAMES
from inference.tracks import WINDOW, tracks
from noctis.errors import ModelError
from registry.manifest import ARTEFACT, Part, Recipe
from tests.models import graph_of, manifest_of, write_model
from training.golden import made_up_night

TREES = (FEATURE_COUNT,)
NET = (WINDOW, TRACK_COUNT)
GRAPHS = {"one.onnx": graph_of(TREES, seed=1), "two.onnx": graph_of(TREES, seed=2)}
PARTS = (
    Part(kind="trees", file="one.onnx", weight=0.4),
    Part(kind="trees", file="two.onnx", weight=0.6),
)
PRIOR = (0.1, 0.6, 0.1, 0.2)
SESSIONS = night_sessions(made_up_night(90, seed=3))[::9]


def blended(recipe: Recipe) -> np.ndarray:
    manifest = manifest_of(architecture="blend", recipe=recipe)
    return architecture_of(manifest, GRAPHS).probabilities(Batch(SESSIONS))


def test_a_blend_is_its_parts_geometric_mean_by_the_prior_and_the_temperature() -> None:
    one, two = (Graph(it, TREES, where="")(Batch(SESSIONS).features) for it in GRAPHS.values())
    assert not np.allclose(one, two, atol=0.01)
    meant = (one**0.4 * two**0.6 / np.power(PRIOR, 0.3)) ** (1 / 1.5)
    meant /= meant.sum(axis=1, keepdims=True)
    recipe = Recipe(parts=PARTS, prior=PRIOR, prior_power=0.3, temperature=1.5)
    assert np.allclose(blended(recipe), meant, atol=1e-6)


def test_a_blend_without_prior_and_temperature_weighs_its_parts_alone() -> None:
    one, two = (Graph(it, TREES, where="")(Batch(SESSIONS).features) for it in GRAPHS.values())
    meant = one**0.4 * two**0.6
    meant /= meant.sum(axis=1, keepdims=True)
    assert np.allclose(blended(Recipe(parts=PARTS)), meant, atol=1e-6)
    assert blended(Recipe(parts=PARTS)).dtype == np.float32


def test_a_single_part_can_be_lifted_and_softened_too() -> None:
    one = Trees(GRAPHS["one.onnx"], where="").probabilities(Batch(SESSIONS))
    manifest = manifest_of(recipe=Recipe(temperature=2.0))
    soft = architecture_of(manifest, {ARTEFACT: GRAPHS["one.onnx"]}).probabilities(
        Batch(SESSIONS)
    )
    assert np.allclose(soft, one**0.5 / (one**0.5).sum(axis=1, keepdims=True), atol=1e-6)


def test_a_part_that_excludes_a_stage_does_not_decide_alone() -> None:
    manifest = manifest_of(architecture="blend", recipe=Recipe(parts=PARTS))
    blend = architecture_of(manifest, GRAPHS)

    class Sure:
        def probabilities(self, batch: Batch) -> np.ndarray:
            return np.tile(np.array([1, 0, 0, 0], np.float32), (len(batch.features), 1))

    blend._parts = [Sure(), blend._parts[1]]  # type: ignore[attr-defined]
    found = blend.probabilities(Batch(SESSIONS))
    assert np.isfinite(found).all()
    assert (found > 0).all()


def test_sessions_are_read_once_for_all_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "inference.architectures.features",
        lambda session: asked.append(len(session)) or np.zeros(FEATURE_COUNT, np.float32),
    )
    blended(Recipe(parts=PARTS))
    assert asked == [len(session) for session in SESSIONS]


def test_no_sessions_get_no_probabilities() -> None:
    manifest = manifest_of(architecture="blend", recipe=Recipe(parts=PARTS))
    assert architecture_of(manifest, GRAPHS).probabilities(Batch([])).shape == (0, 4)


def test_a_graph_of_other_inputs_is_refused() -> None:
    with pytest.raises(ModelError, match=r"tiny@1: one\.onnx takes \[\(7,\)\], and \(n, 126\)"):
        Graph(graph_of((7,)), TREES, where="tiny@1: one.onnx")


def test_rows_of_a_wrong_shape_are_refused() -> None:
    graph = Graph(graph_of(TREES), TREES, where="one.onnx")
    with pytest.raises(ModelError, match=r"takes \(n, 126\), not \(3, 7\)"):
        graph(np.zeros((3, 7), np.float32))
    with pytest.raises(ModelError, match=r"not \(126,\)"):
        graph(np.zeros(FEATURE_COUNT, np.float32))


@pytest.mark.parametrize(
    ("architecture", "recipe"),
    [
        ("blend", {}),
        ("trees", {"parts": [{"kind": "net", "file": "net.onnx"}]}),
        ("trees", {"parts": [{"kind": "trees", "file": "a"}, {"kind": "trees", "file": "b"}]}),
        ("forest", {}),
        ("trees", {"temperature": 0}),
        ("trees", {"prior": [0.5, 0.5, 0, 0]}),
    ],
)
def test_a_recipe_that_does_not_fit_its_architecture_is_refused(
    architecture: str, recipe: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        manifest_of(architecture=architecture, recipe=recipe)


def test_a_signature_names_what_each_kind_reads_once() -> None:
    net = Part(kind="net", file="net.onnx")
    assert signature(PARTS) == FEATURE_NAMES
    assert signature((*PARTS, net, net)) == (*FEATURE_NAMES, *TRACK_NAMES)


def test_a_net_is_loaded_and_stages_by_the_tracks_alone(tmp_path: Path) -> None:
    artefact = graph_of(NET, seed=4)
    write_model(tmp_path / "net", "n1", {ARTEFACT: artefact}, architecture="net")
    model = Model.load(tmp_path / "net")
    assert model.manifest.features == TRACK_NAMES
    meant = Graph(artefact, NET, where="")(np.stack([tracks(it) for it in SESSIONS]))
    assert np.array_equal(model.predict(SESSIONS), meant)
    assert meant.std(axis=0).max() > 0.001


def test_a_net_gets_its_tracks_scaled_as_its_graph_says() -> None:
    scaling = Scaling(np.full(TRACK_COUNT, 0.5, np.float32), np.ones(TRACK_COUNT, np.float32))
    model = onnx.load_from_string(graph_of(NET, seed=4))
    onnx.helper.set_model_props(model, scaling.metadata)
    artefact = model.SerializeToString()
    told = Net(artefact, where="").probabilities(Batch(SESSIONS))
    inputs = np.stack([scaling(tracks(it)) for it in SESSIONS])
    assert np.array_equal(told, Graph(artefact, NET, where="")(inputs))
    assert not np.array_equal(
        told, Net(graph_of(NET, seed=4), where="").probabilities(Batch(SESSIONS))
    )
    onnx.helper.set_model_props(model, {METADATA: "[1, 2"})
    with pytest.raises(ModelError, match="cannot be read"):
        Net(model.SerializeToString(), where="n@1: net.onnx")


def test_trees_and_nets_blend(tmp_path: Path) -> None:
    graphs = {"trees.onnx": graph_of(TREES, seed=3), "net.onnx": graph_of(NET, seed=4)}
    parts = (
        Part(kind="trees", file="trees.onnx", weight=0.4),
        Part(kind="net", file="net.onnx", weight=0.6),
    )
    recipe = Recipe(parts=parts)
    write_model(tmp_path / "both", "b1", graphs, architecture="blend", recipe=recipe)
    trees = Graph(graphs["trees.onnx"], TREES, where="")(Batch(SESSIONS).features)
    net = Graph(graphs["net.onnx"], NET, where="")(Batch(SESSIONS).windows(None))
    meant = trees**0.4 * net**0.6
    meant /= meant.sum(axis=1, keepdims=True)
    found = Model.load(tmp_path / "both").predict(SESSIONS)
    assert np.allclose(found, meant, atol=1e-6)


def test_what_a_graph_expects_is_known_before_it_serves() -> None:
    with pytest.raises(ModelError, match=rf"and \(n, {WINDOW}, {TRACK_COUNT}\) is meant"):
        Net(graph_of((WINDOW - 1, TRACK_COUNT)), where="n@1: net.onnx")


def test_a_blend_is_written_and_loaded_with_all_checks(tmp_path: Path) -> None:
    recipe = Recipe(parts=PARTS, prior=PRIOR, prior_power=0.15)
    write_model(tmp_path / "blend", "b1", GRAPHS, architecture="blend", recipe=recipe)
    model = Model.load(tmp_path / "blend")
    assert model.manifest.recipe == recipe
    assert np.array_equal(model.predict(SESSIONS), blended(recipe))


def test_a_part_that_no_file_holds_is_refused(tmp_path: Path) -> None:
    recipe = Recipe(parts=(*PARTS, Part(kind="trees", file="../three.onnx")))
    graphs = {**GRAPHS, "../three.onnx": GRAPHS["one.onnx"]}
    (tmp_path / "a").mkdir()
    write_model(tmp_path / "a" / "blend", "b1", graphs, architecture="blend", recipe=recipe)
    with pytest.raises(ModelError, match=r"three\.onnx"):
        Model.load(tmp_path / "a" / "blend")
