"""The model's life, put together: versions, labels, evaluation, drift, experiments, replays."""

from fastapi import APIRouter

from api.routes import aliases, models, uploads

__all__ = ["router"]

router = APIRouter()
for part in (models, aliases, uploads):
    router.include_router(part.router)
