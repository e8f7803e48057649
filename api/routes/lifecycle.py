"""The model's life, put together: versions, labels, evaluation, drift, experiments, replays."""

from fastapi import APIRouter

from api.routes import aliases, drift, evaluation, labels, models, operations, uploads

__all__ = ["router"]

router = APIRouter()
for part in (models, aliases, uploads, labels, drift, evaluation, operations):
    router.include_router(part.router)
