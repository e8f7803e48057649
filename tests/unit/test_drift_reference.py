from pathlib import Path

from companion.drift import Drift
from drift import reference
from noctis.settings import Settings
from noctis.storage.database import Database
from registry.manifest import ARTEFACT
from registry.store import Registry
from tests.models import copy_of_the_shipped


def test_where_the_champion_cannot_be_read_drift_is_held_against_the_one_before_it(
    tmp_path: Path,
) -> None:
    registry = Registry(tmp_path)
    for version in ("v1", "v2"):
        registry.publish(copy_of_the_shipped(tmp_path, version=version))
        registry.promote("champion", version)
    artefacts = {it: registry.version_folder(it) / ARTEFACT for it in ("v1", "v2")}
    content = artefacts["v2"].read_bytes()
    database = Database(Settings(), application="noctis-test", connections=1)
    part = Drift(database, tmp_path, frozenset())
    artefacts["v2"].unlink()
    assert part._load().model.endswith("@v1")
    artefacts["v1"].unlink()
    assert part._load().model.endswith("@v1")  # what it has read it keeps
    shipped = reference.load(tmp_path, reference.SHIPPED).model
    assert reference.standing_in(tmp_path).model == shipped
    artefacts["v2"].write_bytes(content)
    assert part._load().model.endswith("@v2")
    database.close()
