"""The platform's models: their versions with figures and card, and who points at them."""

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.catalogue import Catalogue, Entry, Pointer
from api.deps import caller, catalogue
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import documented
from api.scopes import MODELS_READ
from api.threads import in_thread
from noctis.identity import Principal
from registry.store import Alias, Switch

__all__ = [
    "AliasName",
    "AliasState",
    "ModelName",
    "Version",
    "VersionName",
    "alias_of",
    "router",
    "version_of",
]

router = APIRouter(
    prefix="/v1/models", tags=["models"], responses=documented(401, 403, 422, 504)
)

_NAME: Final = "^[a-z0-9][a-z0-9.-]{0,63}$"
_VERSION: Final = "20261122-51fbb6d0"
ModelName = Annotated[str, Path(pattern=_NAME, examples=["stager"])]
VersionName = Annotated[str, Path(pattern=_NAME, examples=[_VERSION])]
AliasName = Annotated[Alias, Path(description="what the version is wanted for")]
_BY_NAME: Final = TypeAdapter(tuple[str])
_BY_PLACE: Final = TypeAdapter(tuple[Annotated[int, Field(ge=0)]])


class AliasState(BaseModel):
    """Where an alias points."""

    alias: Alias
    version: str | None = Field(description="null: at the shipped model", examples=[_VERSION])
    etag: str = Field(
        description="the alias's state, for If-Match", examples=[f'"3-{_VERSION}"']
    )


class Model(BaseModel):
    """A model: a name under which versions are published."""

    name: str = Field(examples=["stager"])
    versions: int = Field(description="how many there are, the shipped one included")
    aliases: list[AliasState]


class ModelPage(BaseModel):
    """Models by name."""

    models: list[Model]
    next_page_token: str | None = Field(description="null on the last page")


class Summary(BaseModel):
    """A version and its cross-validated figures."""

    model: str = Field(examples=["stager"])
    version: str = Field(examples=[_VERSION])
    aliases: list[str] = Field(description="who points at it", examples=[["champion"]])
    shipped: bool = Field(description="it came with this release of Noctis")
    created: datetime | None
    kappa: float | None = Field(description="Cohen's, by subject", examples=[0.48])
    kappa_interval: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="from and to: 95 %, over subjects"
    )
    macro_f1: float | None
    damage: str | None = Field(description="why its manifest cannot be read; else null")


class Version(Summary):
    """A version with all that is known of it."""

    card: str = Field(description="what people should know, in Markdown")
    manifest: dict[str, Any] | None = Field(
        description="files with sha256, features, figures by subject, nights, libraries"
    )


class VersionPage(BaseModel):
    """Versions by their name."""

    versions: list[Summary]
    next_page_token: str | None = Field(description="null on the last page")


class AliasList(BaseModel):
    """All aliases of a model."""

    aliases: list[AliasState]


class SwitchPage(BaseModel):
    """Switches of an alias, the newest first."""

    switches: list[dict[str, str | None]] = Field(
        examples=[
            [
                {
                    "at": "2026-11-22T03:07:11+00:00",
                    "action": "promote",
                    "alias": "champion",
                    "version": _VERSION,
                    "previous": None,
                    "approver": "Ada Lovelace",
                    "reason": "non-inferior to stager@1 on 24 subjects",
                }
            ]
        ]
    )
    next_page_token: str | None = Field(description="null on the last page")


Reader = Annotated[Principal, Security(caller, scopes=[MODELS_READ])]
Known = Annotated[Catalogue, Depends(catalogue)]


@router.get("", operation_id="listModels", summary="List the models", responses=documented(400))
async def list_models(
    _who: Reader, known: Known, page_size: PageSize = 100, page_token: PageToken = None
) -> ModelPage:
    """Return the models by name, and where their aliases point."""
    [after] = position_of(page_token, _BY_NAME) if page_token else [""]
    size = min(page_size, MAX_PAGE_SIZE)

    def work() -> tuple[list[Model], bool]:
        later = [name for name in known.names() if name > after]
        return [_model(known, name) for name in later[:size]], len(later) > size

    page, more = await in_thread(work)
    return ModelPage(models=page, next_page_token=next_token([page[-1].name]) if more else None)


@router.get(
    "/{model:name}", operation_id="getModel", summary="Get a model", responses=documented(404)
)
async def get_model(model: ModelName, _who: Reader, known: Known) -> Model:
    """Return a model, and where its aliases point."""
    return await in_thread(lambda: _model(known, model))


@router.get(
    "/{model:name}/versions",
    operation_id="listVersions",
    summary="List a model's versions",
    responses=documented(400, 404),
)
async def list_versions(
    model: ModelName,
    _who: Reader,
    known: Known,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> VersionPage:
    """Return the versions by their name, with their figures."""
    [after] = position_of(page_token, _BY_NAME, model) if page_token else [""]
    size = min(page_size, MAX_PAGE_SIZE)
    found = await in_thread(lambda: known.entries(model, after, size + 1))
    page = found[:size]
    token = next_token([page[-1].version], model) if len(found) > size else None
    return VersionPage(versions=[_summary(model, it) for it in page], next_page_token=token)


@router.get(
    "/{model:name}/versions/{version:name}",
    operation_id="getVersion",
    summary="Get a version",
    responses=documented(404),
)
async def get_version(
    model: ModelName, version: VersionName, _who: Reader, known: Known
) -> Version:
    """Return a version with its card, its figures by subject and its manifest."""
    return await in_thread(lambda: version_of(known, model, version))


@router.get(
    "/{model:name}/aliases",
    operation_id="listAliases",
    summary="List a model's aliases",
    responses=documented(404),
)
async def list_aliases(model: ModelName, _who: Reader, known: Known) -> AliasList:
    """Return where each alias points."""
    found = await in_thread(lambda: known.pointers(model))
    return AliasList(aliases=[alias_of(it) for it in found])


@router.get(
    "/{model:name}/aliases/{alias:name}",
    operation_id="getAlias",
    summary="Get an alias",
    responses=documented(404),
)
async def get_alias(
    model: ModelName, alias: AliasName, _who: Reader, known: Known, response: Response
) -> AliasState:
    """Return where an alias points; the header ETag names its state."""
    found = await in_thread(lambda: known.pointer(model, alias))
    response.headers["ETag"] = found.etag
    return alias_of(found)


@router.get(
    "/{model:name}/aliases/{alias:name}/history",
    operation_id="listSwitches",
    summary="List an alias's switches",
    responses=documented(400, 404),
)
async def list_switches(
    model: ModelName,
    alias: AliasName,
    _who: Reader,
    known: Known,
    page_size: PageSize = 100,
    page_token: PageToken = None,
) -> SwitchPage:
    """Return who moved the alias, when, from where to where, and why; the newest first."""
    every: list[Switch] = await in_thread(lambda: known.switches(model, alias))
    [place] = position_of(page_token, _BY_PLACE, model, alias) if page_token else [len(every)]
    end = min(place, len(every))
    begin = max(end - min(page_size, MAX_PAGE_SIZE), 0)
    page = [it.as_json() for it in reversed(every[begin:end])]
    token = next_token([begin], model, alias) if begin else None
    return SwitchPage(switches=page, next_page_token=token)


def alias_of(it: Pointer) -> AliasState:
    """Return an alias as it is told."""
    return AliasState(alias=it.alias, version=it.version, etag=it.etag)


def version_of(known: Catalogue, model: str, version: str) -> Version:
    """Return a version as it is told."""
    entry = known.entry(model, version)
    manifest = entry.manifest and entry.manifest.model_dump(mode="json")
    summary = _summary(model, entry).model_dump()
    return Version(**summary, card=known.card(model, version), manifest=manifest)


def _model(known: Catalogue, name: str) -> Model:
    pointers = [alias_of(it) for it in known.pointers(name)]
    return Model(name=name, versions=len(known.versions(name)), aliases=pointers)


def _summary(model: str, it: Entry) -> Summary:
    figures = it.manifest.figures if it.manifest else None
    return Summary(
        model=model,
        version=it.version,
        aliases=list(it.aliases),
        shipped=it.is_shipped,
        created=it.manifest.created if it.manifest else None,
        kappa=figures.kappa if figures else None,
        kappa_interval=list(figures.kappa_interval) if figures else None,
        macro_f1=figures.macro_f1 if figures else None,
        damage=it.damage or None,
    )
