"""The tenant's apps: programs that ask, and see its stages at the broker."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, Field

from api.auditing import record
from api.bodies import Body
from api.deps import caller, database
from api.names import NAME
from api.problems import documented
from api.reach import check_reach
from api.scopes import USERS_WRITE
from noctis.identity import Principal, Role, app_username, check_role
from noctis.storage import accounts
from noctis.storage.database import Connection, Database
from noctis.storage.errors import NotFoundError

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/apps",
    tags=["users"],
    responses=documented(401, 403, 422, 503, 504),
)

AppName = Annotated[str, Path(pattern=NAME, examples=["phone"])]
Admin = Annotated[Principal, Security(caller, scopes=[USERS_WRITE])]
Store = Annotated[Database, Depends(database)]
_ROLE = "what tokens may be good for; null: devices, epochs and stages to read"


class App(BaseModel):
    """An app of the tenant; its client id is `name@tenant`."""

    name: str = Field(examples=["phone"])
    role: Role | None = Field(description=_ROLE)
    created_at: datetime


class Apps(BaseModel):
    """All apps, by name."""

    apps: list[App]


class NewApp(Body):
    """An app to be."""

    name: str = Field(pattern=NAME, examples=["phone"])
    role: Role | None = Field(None, description=_ROLE)


class AppChange(Body):
    """What is to be different."""

    role: Role | None = Field(description=_ROLE)


class AppSecret(BaseModel):
    """What an app proves itself with; it is shown this once."""

    client_id: str = Field(examples=["phone@home"])
    client_secret: str = Field(examples=["kR0yP3mJ5Qm6b7sVb1m2lTq9xWc4uZ8a"])


@router.get("", operation_id="listApps", summary="List the tenant's apps")
async def list_apps(who: Admin, store: Store) -> Apps:
    """Return the apps that may ask, by name."""
    found = await store.call(lambda it: accounts.apps(who.tenant, it))
    return Apps(apps=[_shown(*each) for each in found])


@router.post(
    "",
    operation_id="createApp",
    summary="Add an app",
    status_code=201,
    responses=documented(409, "exists", "role"),
)
async def create_app(wanted: NewApp, who: Admin, store: Store, response: Response) -> AppSecret:
    """Add an app in a role that grants nothing that this token does not, or in none."""
    check_reach(who, wanted.role)
    username = app_username(wanted.name, who.tenant)

    def work(connection: Connection) -> str:
        made = accounts.add(who.tenant, connection, username, "app", role=wanted.role)
        record(who, connection, "app_added", username, role=wanted.role or "none")
        return made

    secret = await store.call(work)
    response.headers["Location"] = f"/v1/apps/{wanted.name}"
    return AppSecret(client_id=username, client_secret=secret)


@router.get(
    "/{app:name}", operation_id="getApp", summary="Get an app", responses=documented(404)
)
async def get_app(app: AppName, who: Admin, store: Store) -> App:
    """Return one of the tenant's apps."""
    return await store.call(lambda it: _get(it, who, app))


@router.patch(
    "/{app:name}",
    operation_id="updateApp",
    summary="Give an app another role",
    responses=documented(404, "role"),
)
async def update_app(app: AppName, change: AppChange, who: Admin, store: Store) -> App:
    """Change what an app's tokens may be good for; those it has are void within seconds.

    Neither a role nor an app is in reach that grants more than this token does.
    """
    check_reach(who, change.role)
    username = app_username(app, who.tenant)

    def work(connection: Connection) -> App:
        check_reach(who, _get(connection, who, app).role)
        accounts.set_role(who.tenant, connection, username, change.role)
        record(who, connection, "app_role_set", username, role=change.role or "none")
        return _get(connection, who, app)

    return await store.call(work)


@router.post(
    "/{app:name}:rotate",
    operation_id="rotateAppSecret",
    summary="Give an app another secret",
    responses=documented(404, "role"),
)
async def rotate_app(app: AppName, who: Admin, store: Store) -> AppSecret:
    """Make another secret; the one before, and the tokens got with it, are worth nothing."""
    username = app_username(app, who.tenant)

    def work(connection: Connection) -> str:
        check_reach(who, _get(connection, who, app).role)
        record(who, connection, "app_rotated", username)
        return accounts.set_password(who.tenant, connection, username)

    secret = await store.call(work)
    return AppSecret(client_id=username, client_secret=secret)


@router.delete(
    "/{app:name}",
    operation_id="deleteApp",
    summary="Revoke an app for good",
    status_code=204,
    responses=documented(404, "role"),
)
async def delete_app(app: AppName, who: Admin, store: Store) -> None:
    """Take an app's account away; its name stays taken. Its tokens are void within seconds."""
    username = app_username(app, who.tenant)

    def work(connection: Connection) -> None:
        check_reach(who, _get(connection, who, app).role)
        accounts.revoke(who.tenant, connection, username)
        record(who, connection, "app_revoked", username)

    await store.call(work)


def _get(connection: Connection, who: Principal, app: str) -> App:
    wanted = app_username(app, who.tenant)
    for username, role, created_at in accounts.apps(who.tenant, connection):
        if username == wanted:
            return _shown(username, role, created_at)
    message = f"tenant {who.tenant!r} has no app {app!r}"
    raise NotFoundError(message)


def _shown(username: str, role: str | None, created_at: datetime) -> App:
    known = None if role is None else check_role(role)
    return App(name=username.partition("@")[0], role=known, created_at=created_at)
