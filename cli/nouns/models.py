"""The models behind a facade; those of this machine are its registry's."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli.facade import Facade
from cli.nouns.documents import Document, plain
from cli.ordered import asked_facade
from noctis.errors import ConfigurationError
from registry.store import ALIASES, CHAMPION

__all__ = ["AskedModels", "asked_models", "read_report"]

SHIPPED: Final = "shipped"


class AskedModels:
    """Models of a platform elsewhere; ``name`` is of a model."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def list_of(self, name: str) -> list[Document]:
        """Return the versions by their names, the shipped one first."""
        found = [self._version(name, it["version"]) for it in self._summaries(name)]
        rows = [_row(it) for it in found]
        return sorted(rows, key=lambda it: (SHIPPED not in it["aliases"], it["version"]))

    def get(self, name: str, version: str) -> Document:
        """Return a version, or that of an alias or the shipped one, with card and manifest."""
        if version in ALIASES:
            path = f"/v1/models/{name}/aliases/{version}"
            version = self._facade.ask("GET", path)["version"] or SHIPPED
        if version == SHIPPED:
            shipped = [it["version"] for it in self._summaries(name) if it["shipped"]]
            version = shipped[0] if shipped else version
        return self._version(name, version)

    def upload(self, name: str, folder: Path) -> Document:
        """Publish the version in a folder."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(it for it in folder.iterdir() if it.is_file()):
                file.write(path, path.name)
        made = self._facade.upload(
            f"/v1/models/{name}/versions", packed.getvalue(), "application/zip"
        )
        return _row(made)

    def move(self, name: str, alias: str, version: str, reason: str) -> Document:
        """Let an alias that nobody sees point at a version; return the switch."""
        path, etag = self._alias(name, alias)
        body = {"version": version, "reason": reason}
        self._facade.ask("PUT", path, body=body, headers=etag)
        return self._last_switch(path)

    def promote(self, name: str, version: str, body: Document) -> Document:
        """Let a version be the champion, past the gate; return the switch."""
        path, etag = self._alias(name, CHAMPION)
        place = f"/v1/models/{name}/versions/{version}:promote"
        self._facade.ask("POST", place, body=body, headers=etag)
        return self._last_switch(path)

    def rollback(self, name: str, alias: str, approver: str, reason: str) -> Document:
        """Let an alias point where it pointed before; return the switch."""
        path, etag = self._alias(name, alias)
        body = {"approver": approver, "reason": reason}
        self._facade.ask("POST", f"{path}:rollback", body=body, headers=etag)
        return self._last_switch(path)

    def drift(self) -> list[Document]:
        """Return the newest report on the tenant and on each of its devices."""
        tenant = self._facade.profile.tenant
        return [
            {"subject": _subject(tenant, it), "made_at": plain(it["made_at"]), **it["report"]}
            for it in self._facade.pages("/v1/drift", "reports")
        ]

    def drift_now(self, tenant: str, query: Document) -> Document:
        """Return the report on what is stored now, of a ``device`` or of all."""
        told: Document = plain(self._facade.ask("GET", "/v1/model/drift", params=query))
        return {"subject": _subject(tenant, told)} | {
            name: value for name, value in told.items() if name != "device"
        }

    def _summaries(self, name: str) -> Iterator[Document]:
        return self._facade.pages(f"/v1/models/{name}/versions", "versions")

    def _version(self, name: str, version: str) -> Document:
        told: Document = self._facade.ask("GET", f"/v1/models/{name}/versions/{version}")
        return told

    def _alias(self, name: str, alias: str) -> tuple[str, dict[str, str]]:
        path = f"/v1/models/{name}/aliases/{alias}"
        return path, {"If-Match": self._facade.exchange("GET", path).headers["ETag"]}

    def _last_switch(self, path: str) -> Document:
        told = self._facade.ask("GET", f"{path}/history", params={"page_size": 1})
        switch: Document = told["switches"][0]
        return switch


@contextmanager
def asked_models(profile: str | None) -> Iterator[AskedModels | None]:
    """Yield the models behind the profile in use; None for this machine's own."""
    with asked_facade(profile) as facade:
        yield None if facade is None else AskedModels(facade)


def read_report(file: Path) -> Any:  # noqa: ANN401 - the facade looks at it
    """Return a comparison that ``noctis model compare --out`` wrote."""
    try:
        return json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        message = f"{file} is no report: {error}"
        raise ConfigurationError(
            message, hint="noctis model compare --out writes one"
        ) from error


def _row(told: Document) -> Document:
    manifest = told["manifest"] or {}
    serves = [CHAMPION] if CHAMPION in told["aliases"] else []
    return {
        "name": told["model"],
        "version": told["version"],
        "aliases": [SHIPPED, *serves] if told["shipped"] else told["aliases"],
        "created": plain(told["created"]),
        "kappa": told["kappa"],
        "kappa_interval": told["kappa_interval"],
        "macro_f1": told["macro_f1"],
        "subjects": len(manifest["figures"]["subjects"]) if manifest else None,
    }


def _subject(tenant: str, told: Document) -> str:
    return tenant if told["device"] is None else f"{tenant}/{told['device']}"
