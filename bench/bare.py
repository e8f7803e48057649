"""``python -m bench.bare PORT``: a FastAPI route that does nothing, served as the facade is."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

__all__ = ["create_app"]


class Device(BaseModel):
    """As long as the facade's own."""

    name: str
    time_zone: str


def create_app() -> FastAPI:
    """Return an application of one route."""
    app = FastAPI()

    @app.get("/{device}")
    async def get_device(device: str) -> Device:
        return Device(name=device, time_zone="UTC")

    return app


if __name__ == "__main__":
    uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_config=None)
