"""The model's life, put together: versions, labels, drift, replays, live stages, and so on."""

from typing import Final

from fastapi import APIRouter

from api.routes import (
    aliases,
    drift,
    evaluation,
    experiments,
    labels,
    models,
    operations,
    promotion,
    stages,
    uploads,
)

__all__ = ["router"]

_PARTS: Final = (
    models,
    aliases,
    promotion,
    uploads,
    labels,
    drift,
    evaluation,
    experiments,
    operations,
    stages,
)
router = APIRouter()
for part in _PARTS:
    router.include_router(part.router)
