"""The page for people, and ``/docs``: files, and the headers that bind a browser to them.

They ask ``/v1`` as any other client; nothing of a tenant is in them.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from api.assets import Asset, Assets, Shelf
from api.etags import is_known
from api.threads import in_thread

__all__ = ["docs", "router"]

router = APIRouter(include_in_schema=False)
docs = APIRouter(include_in_schema=False)
_shelf: Final = Shelf()

_EVERY: Final = {
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src "
)
_PAGE: Final = f"{_POLICY}'self'; require-trusted-types-for 'script'; trusted-types 'none'"
_DOCS: Final = f"{_POLICY}'self' data:"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_NOT_INSTALLED: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Noctis: not installed</title>
<h1>Noctis runs, its page is not installed</h1>
<p>The page needs parts from the npm registry, which are not here yet. Where the platform was
installed from, run</p>
<pre>scripts/page</pre>
<p>(it wants <code>npm</code>), and load this again; nothing needs to be started anew.
Everything else works without it: the API, live stages, the command line.</p>
</html>
"""


async def assets() -> Assets:
    """Return the files as they are now."""
    return await in_thread(_shelf.look)


Files = Annotated[Assets, Depends(assets)]


@router.api_route("/", methods=["GET", "HEAD"])
async def get_page(request: Request, files: Files) -> Response:
    """Return the page."""
    return await _document(request, files, "index.html", _PAGE)


@docs.api_route("/docs", methods=["GET", "HEAD"])
async def get_docs(request: Request, files: Files) -> Response:
    """Return Swagger UI over this listener's own description."""
    return await _document(request, files, "docs.html", _DOCS)


@docs.api_route("/licences", methods=["GET", "HEAD"])
async def get_licences(request: Request, files: Files) -> Response:
    """Return the list of what others made of the page, each with its licence."""
    return await _document(request, files, "licences.html", _PAGE)


@docs.api_route("/page/{name}/{path:path}", methods=["GET", "HEAD"])
async def get_part(request: Request, name: str, path: str, files: Files) -> Response:
    """Return a file of the page, which under this name never changes."""
    asset = files.files.get(path)
    if name != files.name or asset is None or path.endswith(".html"):
        raise HTTPException(404)
    return await _answer(request, asset, {"Cache-Control": _FOR_EVER})


async def _document(request: Request, files: Assets, name: str, policy: str) -> Response:
    if files.missing:
        headers = {**_EVERY, "Content-Security-Policy": "default-src 'none'"}
        return Response(_NOT_INSTALLED, 503, headers, "text/html")
    body = files.filled(name).replace(b"{{api}}", str(request.app.openapi_url).encode())
    etag = f'"{files.name}"'
    headers = {
        **_EVERY,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": policy,
        "ETag": etag,
    }
    if is_known(request.headers.get("If-None-Match"), etag):
        return Response(status_code=304, headers=headers)
    return await _answer(request, Asset(body, files.files[name].kind), headers)


async def _answer(request: Request, asset: Asset, headers: dict[str, str]) -> Response:
    """Return a file, squeezed where the browser takes that."""
    told = {**_EVERY, **headers, "Vary": "Accept-Encoding"}
    body = asset.body
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        squeezed = await in_thread(lambda: asset.squeezed)
        if squeezed is not None:
            body, told["Content-Encoding"] = squeezed, "gzip"
    return Response(body, headers=told, media_type=asset.kind)
