"""``python -m api.internal``: the operators' listener under uvicorn, with an orderly end."""

import sys

from api.internal.app import create_internal_app
from api.server import listen

if __name__ == "__main__":
    sys.exit(
        listen(
            "internal",
            create_internal_app,
            address=lambda it: (it.internal_host, it.internal_port),
        )
    )
