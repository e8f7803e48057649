"""A new version of a model, sent as a zip: checked in a process apart, then there at once."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Annotated, Final

import anyio
from fastapi import APIRouter, Depends, Header, Request, Response
from starlette.requests import ClientDisconnect

from api.archives import ArchiveError, unpack
from api.auditing import noted
from api.catalogue import Catalogue
from api.deps import catalogue, database
from api.problems import ProblemError, documented, invalid
from api.routes.aliases import Writer
from api.routes.models import ModelName, Version, version_of
from api.threads import in_thread
from noctis.errors import ModelError
from noctis.storage.database import Database
from registry.errors import VersionExistsError
from registry.manifest import verify
from registry.store import Registry

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/models", tags=["models"], responses=documented(401, 403, 413, 415, 422, 504)
)

AT_ONCE: Final = 2
RECEIPT_S: Final = 120.0
CHECK_S: Final = 90.0
IN_MEMORY: Final = 1 << 20
_KINDS: Final = frozenset({"application/zip", "application/x-zip-compressed"})
_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "a zip of the files of the version's folder, at the zip's root",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}
_slots: Final = anyio.CapacityLimiter(AT_ONCE)


@router.post(
    "/{model:name}/versions",
    operation_id="uploadVersion",
    summary="Upload a version",
    status_code=201,
    responses=documented(400, 409, 429, "exists", "busy", "media-type", "torn"),
    openapi_extra=_BODY,
)
async def upload_version(
    *,
    model: ModelName,
    request: Request,
    who: Writer,
    store: Annotated[Database, Depends(database)],
    known: Annotated[Catalogue, Depends(catalogue)],
    response: Response,
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> Version:
    """Publish what `noctis model train --out` made, under the name and version it bears.

    All that a service checks before a version serves is checked first: sha256 of each file,
    signature, golden vectors. The version is there as a whole or not at all, and serves nobody
    until an alias points at it.
    """
    if content_type.partition(";")[0].strip().lower() not in _KINDS:
        raise ProblemError(415, "send a zip, as application/zip", kind="media-type")
    if _slots.available_tokens < 1:
        headers = {"Retry-After": "10"}
        detail = f"{AT_ONCE} uploads are under way"
        raise ProblemError(429, detail, kind="busy", headers=headers)
    async with _slots:
        with (
            tempfile.SpooledTemporaryFile(IN_MEMORY) as file,
            tempfile.TemporaryDirectory(prefix="noctis-upload-") as name,
        ):
            await _receive(request, file)
            version = await in_thread(
                lambda: _publish(known.root, model, file, Path(name)), within_s=CHECK_S + 10
            )
    await noted(who, store, "model_uploaded", f"{model}@{version}")
    response.headers["Location"] = f"/v1/models/{model}/versions/{version}"
    return await in_thread(lambda: version_of(known, model, version))


async def _receive(request: Request, file: IO[bytes]) -> None:
    try:
        with anyio.fail_after(RECEIPT_S):
            async for chunk in request.stream():
                file.write(chunk)
    except ClientDisconnect as error:
        raise ProblemError(400, "the upload was cut off", kind="torn") from error


def _publish(root: Path, model: str, file: IO[bytes], folder: Path) -> str:
    """Return the version that the zip holds, checked and published."""
    try:
        file.seek(0)
        unpack(file, folder)  # type: ignore[arg-type]  # as good as a BinaryIO
        _check_name(folder, model)
        _check(folder)
        return Registry(root, model).publish(folder).version
    except VersionExistsError as error:
        detail = f"{error.message.partition(' exists')[0]} exists, and never changes"
        raise ProblemError(409, detail, kind="exists") from error
    except (ArchiveError, ModelError) as error:
        raise invalid(("body",), str(error).replace(f"{folder}/", "")) from error


def _check_name(folder: Path, model: str) -> None:
    manifest = verify(folder)
    if manifest.name != model:
        message = f"it holds {manifest.full_name}, not a {model}"
        raise ModelError(message, hint=f"POST /v1/models/{manifest.name}/versions")


def _check(folder: Path) -> None:
    """Load the version in a process of its own; raise ModelError where it does not load."""
    command = [sys.executable, "-m", "inference.check", str(folder)]
    try:
        done = subprocess.run(  # noqa: S603 - our own program, no shell
            command, capture_output=True, text=True, timeout=CHECK_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"it does not load within {CHECK_S:.0f} s"
        raise ModelError(message) from error
    if done.returncode == 0:
        return
    try:
        told = json.loads(done.stdout)["error"]
    except (ValueError, KeyError, TypeError):
        told = f"loading it ended the process with {done.returncode}"
    raise ModelError(told)
