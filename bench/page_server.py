"""``python -m bench.page_server PORT``: the facade's documents, and one with nothing to it.

The facade's whole application but for what it follows in the broker and the database, which
no document asks.
"""

import sys
import tempfile
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from api.app import create_app
from noctis.settings import Settings

__all__ = ["BARE"]

BARE: Final = "/bare"
_DOCUMENT: Final = """\
<!doctype html>
<html lang="en">
<title>Bare</title>
<main><h1>Bare</h1></main>
</html>
"""


async def _get_bare() -> HTMLResponse:
    return HTMLResponse(_DOCUMENT)


def _app(var: Path) -> FastAPI:
    app = create_app(Settings(var=var))
    app.add_api_route(BARE, _get_bare)
    return app


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="noctis-bench-") as name:
        port = int(sys.argv[1])
        uvicorn.run(
            _app(Path(name)), host="127.0.0.1", port=port, log_config=None, lifespan="off"
        )
