"""Images of firmware that there are, and their signed manifests. They are the platform's."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert

from noctis.firmware import Image, Manifest
from noctis.storage.errors import NotFoundError
from noctis.storage.rollout_models import firmware

__all__ = ["Firmware", "add", "find", "list_all", "sign"]


@dataclass(frozen=True, slots=True)
class Firmware:
    """An image; ``manifest``, ``signature`` and ``key_id`` are None until it is signed."""

    id: int
    sha256: str
    target: str
    version: str
    build: int
    size: int
    added_at: datetime
    manifest: str | None
    signature: str | None
    key_id: str | None
    signed_at: datetime | None
    expires_at: datetime | None

    @property
    def image(self) -> Image:
        """What the image says of itself."""
        return Image(self.target, self.version, self.build, self.size, self.sha256)


_COLUMNS: Final = (
    firmware.c.id,
    firmware.c.sha256,
    firmware.c.target,
    firmware.c.version,
    firmware.c.build,
    firmware.c.size,
    firmware.c.added_at,
    firmware.c.manifest,
    firmware.c.signature,
    firmware.c.key_id,
    firmware.c.signed_at,
    firmware.c.expires_at,
)


def add(connection: Connection, image: Image) -> bool:
    """Note an image whose bytes are stored; False if it was known."""
    values = {
        "sha256": image.sha256,
        "target": image.target,
        "version": image.version,
        "build": image.build,
        "size": image.size,
    }
    new = insert(firmware).values(values).on_conflict_do_nothing().returning(firmware.c.id)
    return connection.execute(new).one_or_none() is not None


def find(connection: Connection, name: str) -> Firmware:
    """Return the image whose SHA-256 begins so, or the newest of that version.

    Raise NotFoundError where there is none, or several begin so.
    """
    for condition in (
        firmware.c.sha256.startswith(name, autoescape=True),
        firmware.c.version == name,
    ):
        query = select(*_COLUMNS).where(condition).order_by(firmware.c.id.desc()).limit(2)
        rows = connection.execute(query).mappings().all()
        if len(rows) == 1 or (rows and rows[0]["version"] == name):
            return Firmware(**rows[0])
    message = f"no image, or more than one, goes by {name!r}"
    raise NotFoundError(message, hint="noctis firmware list shows them")


def list_all(connection: Connection) -> list[Firmware]:
    """Return all images, the newest first."""
    query = select(*_COLUMNS).order_by(firmware.c.id.desc())
    return [Firmware(**row) for row in connection.execute(query).mappings()]


def sign(connection: Connection, manifest: Manifest, key_id: str, signature: str) -> None:
    """Keep an image's manifest and who signed it, in place of what it had."""
    connection.execute(
        update(firmware)
        .where(firmware.c.sha256 == manifest.image.sha256)
        .values(
            manifest=manifest.encode().decode("ascii"),
            signature=signature,
            key_id=key_id,
            signed_at=func.now(),
            expires_at=func.to_timestamp(manifest.expires),
        )
    )
