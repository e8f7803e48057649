"""The models: whether the champion loads, and every process serves it."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final

from cli.doctor.findings import Finding, Topic
from cli.doctor.site import Site
from inference import versions
from inference.versions import SHIPPED_FOLDERS
from noctis.errors import ModelError
from registry.presence import Holder, holders
from registry.store import CHAMPION, Registry

__all__ = ["look"]

_topic: Final = Topic("model")


def look(site: Site) -> Iterator[Finding]:
    """Load each champion as a service would: files, sha256, golden vectors."""
    root = site.settings.models if site.settings else site.var / "models"
    for name, shipped in SHIPPED_FOLDERS.items():
        registry = Registry(root, name)
        yield from _champion(registry, shipped)
        yield from _processes(name, holders(registry.folder))


def _champion(registry: Registry, shipped: Path) -> Iterator[Finding]:
    name = registry.name
    try:
        version = registry.resolve(CHAMPION)
        folder = registry.version_folder(version) if version else shipped
        model = versions.load(folder).manifest.full_name
    except (ModelError, OSError) as error:
        yield _topic.fault(
            "damaged",
            f"the champion of {name} does not load: {error}",
            means="processes that run keep the one before; new ones fall back to an older one",
            cure="noctis model rollback, or publish and promote it anew",
            of=name,
        )
        return
    kind = "the champion" if version else "the shipped model"
    yield _topic.ok("proved", f"{kind} {model} gives its golden answers", of=name)


def _processes(name: str, known: list[Holder]) -> Iterator[Finding]:
    for it in known:
        if it.refusal:
            yield _topic.fault(
                "refused",
                f"{it.process} refuses the champion and serves {it.model}: {it.refusal}",
                means="stages come from another version than was promoted",
                cure="if it loads here, look at that process's disk, memory and version; it "
                "tries again within a minute; else noctis model rollback",
                of=it.process.partition(" ")[0],
            )
    serving = sorted(it.model or "none" for it in known if not it.refusal)
    counts = {model: len(list(group)) for model, group in groupby(serving)}
    told = ", ".join(f"{count} serve {model}" for model, count in counts.items())
    if len(counts) > 1:
        yield _topic.warning(
            "apart",
            f"processes serve different versions: {told}",
            means="a switch takes seconds; for longer, one of them does not see the registry",
            cure="do all of them mount the same NOCTIS_VAR? noctis model list",
            of=name,
        )
    elif counts:
        yield _topic.ok("together", f"processes: {told}", of=name)
