"""The model in use: the champion of the live stagers."""

from pathlib import Path

from inference.champion import Champion
from inference.model import DEFAULT_FOLDER, Model
from noctis.settings import Settings
from registry.store import DEFAULT_NAME, Registry

__all__ = ["Serving", "active"]


class Serving(Champion[Model]):
    """Holds the live stager that serves; see ``Champion``."""

    def __init__(self, root: Path, name: str = DEFAULT_NAME, *, service: str = "") -> None:
        registry = Registry(root, name)
        super().__init__(registry, load=Model.load, shipped=DEFAULT_FOLDER, service=service)


def active(settings: Settings, *, service: str = "") -> Serving:
    """Return the model that these settings make active; raise ModelError when it is broken."""
    serving = Serving(settings.models, service=service)
    serving.look()
    return serving
