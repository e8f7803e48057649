"""Small models of every architecture: real graphs with random weights, in whole folders."""

import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.architectures import signature
from inference.model import DEFAULT_FOLDER, Model
from inference.night import NIGHT_NAME, NightModel
from inference.night_tracks import COUNT as NIGHT_TRACKS
from registry.manifest import (
    ARTEFACT,
    GOLDEN,
    MANIFEST,
    Golden,
    Manifest,
    Recipe,
    read_manifest,
)
from training.golden import golden_of, night_golden_of

OPSET = 17


def graph_of(shape: tuple[int, ...], *, seed: int = 0) -> bytes:
    """Return a graph of one layer, from rows of this shape to four probabilities."""
    random = np.random.default_rng(seed)
    weights = random.normal(0, 0.02, (int(np.prod(shape)), 4)).astype(np.float32)
    nodes = [
        helper.make_node("IsNaN", ["rows"], ["gaps"]),
        helper.make_node("Where", ["gaps", "zero", "rows"], ["known"]),
        helper.make_node("Flatten", ["known"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node("Tanh", ["scores"], ["bounded"]),
        helper.make_node("Softmax", ["bounded"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, *shape])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 4])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def manifest_of(version: str = "tiny", **fields: object) -> Manifest:
    """Return the shipped model's manifest with other fields, for a model of these parts."""
    shipped = read_manifest(DEFAULT_FOLDER).model_dump(mode="json")
    known = shipped | {"architecture": "trees", "recipe": {}}
    manifest = Manifest.model_validate(known | {"version": version, "files": {}} | fields)
    return manifest.model_copy(update={"features": signature(manifest.parts)})


def write_model(
    folder: Path,
    version: str,
    graphs: Mapping[str, bytes],
    *,
    architecture: str = "trees",
    recipe: Recipe | None = None,
) -> Manifest:
    """Write a whole model, golden vectors included, into a new folder."""
    manifest = manifest_of(version, architecture=architecture, recipe=recipe or Recipe())
    return _write(folder, manifest, graphs, golden_of(Model(manifest, graphs)))


def write_night_model(folder: Path, version: str, *, seed: int = 0) -> Manifest:
    """Write a whole model of nights, of random weights, into a new folder."""
    graphs = {ARTEFACT: graph_of((NIGHT_TRACKS,), seed=seed)}
    manifest = manifest_of(version, name=NIGHT_NAME, architecture="night")
    return _write(folder, manifest, graphs, night_golden_of(NightModel(manifest, graphs)))


def _write(
    folder: Path, manifest: Manifest, graphs: Mapping[str, bytes], vectors: Golden
) -> Manifest:
    golden = vectors.model_dump_json().encode()
    contents = {**graphs, GOLDEN: golden}
    files = {name: sha256(content).hexdigest() for name, content in contents.items()}
    manifest = manifest.model_copy(update={"files": files})
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return manifest


def copy_of_the_shipped(root: Path, *, version: str | None = None) -> Path:
    folder = root / (version or "copy")
    shutil.copytree(DEFAULT_FOLDER, folder)
    if version is not None:
        alter_manifest(folder, version=version)
    return folder


def alter_manifest(folder: Path, **fields: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | fields))


def alter_golden(folder: Path, golden: Golden) -> None:
    content = golden.model_dump_json().encode()
    (folder / GOLDEN).write_bytes(content)
    files = json.loads((folder / MANIFEST).read_text())["files"]
    alter_manifest(folder, files=files | {GOLDEN: sha256(content).hexdigest()})
