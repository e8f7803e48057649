"""``python -m api``: the facade under uvicorn, with an orderly end."""

import sys

from api.app import create_app
from api.server import listen

if __name__ == "__main__":
    sys.exit(listen("api", create_app, address=lambda it: (it.api_host, it.api_port)))
