"""The page as the facade hands it out."""

import re
import shutil
from pathlib import Path

import anyio
import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from api.assets import FOLDER, Shelf
from api.internal.app import create_internal_app
from api.routes import page
from noctis.settings import Settings

DOCUMENTS = ("/", "/docs", "/licences")


def installed() -> list[str]:
    """What ``scripts/page`` takes from others, by its path below the page's folder."""
    lines = (FOLDER / "vendor.sha256").read_text().splitlines()
    return [f"vendor/{line.split()[1]}" for line in lines]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page's own files, with something in the place of each that is installed."""
    made = tmp_path / "page"
    shutil.copytree(FOLDER, made, ignore=shutil.ignore_patterns("vendor"))
    for name in installed():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_bytes(b"of others")
    monkeypatch.setattr(page, "_shelf", Shelf(made))
    return made


@pytest.fixture
def app(folder: Path, tmp_path: Path) -> FastAPI:
    assert folder.exists()
    return create_app(Settings(var=tmp_path))


def ask(app: FastAPI, path: str, **headers: str) -> httpx.Response:
    async def exchange() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://noctis") as client:
            return await client.get(path, headers=headers)

    return anyio.run(exchange)


def directives(reply: httpx.Response) -> dict[str, str]:
    parts = reply.headers["Content-Security-Policy"].split("; ")
    return {name: rest for name, _, rest in (part.partition(" ") for part in parts)}


def parts_of(reply: httpx.Response) -> list[str]:
    return re.findall(r'(?:href|src)="([^"#]+)"', reply.text)


def test_the_page_may_load_and_ask_nothing_but_this_very_server(app: FastAPI) -> None:
    reply = ask(app, "/")
    assert reply.status_code == 200
    policy = directives(reply)
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    for name in ("script-src", "style-src", "connect-src", "font-src", "img-src"):
        assert policy[name] == "'self'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert all(part.startswith("/page/") for part in parts_of(reply))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_hold_no_script_and_no_style_of_their_own(
    app: FastAPI, document: str
) -> None:
    text = ask(app, document).text
    assert "<style" not in text
    assert " style=" not in text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"\son\w+=", text)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_part_of_a_document_is_there_and_is_kept_for_ever(
    app: FastAPI, document: str
) -> None:
    reply = ask(app, document)
    assert reply.headers["Cache-Control"] == "no-cache"
    parts = [part for part in parts_of(reply) if part not in DOCUMENTS]
    assert len(parts) >= 3
    for part in parts:
        found = ask(app, part)
        assert found.status_code == 200, part
        assert "immutable" in found.headers["Cache-Control"]


def test_every_module_that_a_module_imports_is_there(app: FastAPI) -> None:
    [main] = [part for part in parts_of(ask(app, "/")) if part.endswith("/js/main.js")]
    seen, waiting = set(), [httpx.URL(f"http://noctis{main}")]
    while waiting:
        url = waiting.pop()
        if url.path in seen:
            continue
        seen.add(url.path)
        found = ask(app, url.path)
        assert found.status_code == 200, url
        assert found.headers["Content-Type"] == "text/javascript; charset=utf-8"
        imported = re.findall(r'^import .*?"(\..*?)";$', found.text, re.MULTILINE | re.DOTALL)
        waiting += [url.join(name) for name in imported]
    own = {path.name for path in (FOLDER / "js").rglob("*.js")}
    assert own == {Path(path).name for path in seen} - {"uplot.js"}


def test_a_browser_that_has_the_page_gets_it_again_only_when_it_changed(
    app: FastAPI, folder: Path
) -> None:
    first = ask(app, "/")
    again = ask(app, "/", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    old = parts_of(first)[-1]
    (folder / "css" / "base.css").write_text("body { color: red }")
    changed = ask(app, "/", **{"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert parts_of(changed)[-1] != old
    assert ask(app, old).status_code == 404


def test_parts_are_squeezed_where_the_browser_takes_that(app: FastAPI) -> None:
    [main] = [part for part in parts_of(ask(app, "/")) if part.endswith("/js/main.js")]
    plain = ask(app, main, **{"Accept-Encoding": "identity"})
    squeezed = ask(app, main, **{"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers
    assert squeezed.headers["Content-Encoding"] == "gzip"
    assert squeezed.headers["Vary"] == "Accept-Encoding"
    assert int(squeezed.headers["Content-Length"]) < len(plain.content)
    assert squeezed.content == plain.content


@pytest.mark.parametrize(
    "path",
    [
        "..%2Fassets.py",
        "%2e%2e/assets.py",
        "package.json",
        ".npmrc",
        "index.html",
        "nothing.js",
    ],
)
def test_nothing_but_the_pages_parts_is_handed_out(app: FastAPI, path: str) -> None:
    part = next(it for it in parts_of(ask(app, "/")) if it.endswith("/js/main.js"))
    assert ask(app, part.replace("js/main.js", path)).status_code == 404


def test_without_what_is_installed_the_page_says_how_to_get_it_and_the_rest_works(
    app: FastAPI, folder: Path
) -> None:
    moved = (folder / "vendor").rename(folder.with_name("elsewhere"))
    for path in DOCUMENTS:
        reply = ask(app, path)
        assert reply.status_code == 503
        assert "scripts/page" in reply.text
    assert ask(app, "/healthz").status_code == 200
    moved.rename(folder / "vendor")
    assert ask(app, "/").status_code == 200


def test_the_list_of_licences_leads_to_each_that_is_installed(app: FastAPI) -> None:
    texts = {name for name in installed() if name.endswith(".txt")}
    parts = [it for it in parts_of(ask(app, "/licences")) if it.endswith(".txt")]
    assert {f"vendor/{Path(it).name}" for it in parts} == texts
    for part in parts:
        found = ask(app, part)
        assert (found.status_code, found.content) == (200, b"of others")
        assert found.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert 'href="/licences"' in ask(app, "/docs").text


def test_each_listener_shows_its_own_description(folder: Path, tmp_path: Path) -> None:
    assert folder.exists()
    settings = Settings(var=tmp_path)
    for app in (create_app(settings), create_internal_app(settings)):
        reply = ask(app, "/docs")
        assert f'content="{app.openapi_url}"' in reply.text
        assert directives(reply)["script-src"] == "'self'"
