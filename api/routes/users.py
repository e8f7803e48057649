"""The tenant's users: who may ask, and for what."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Response, Security
from pydantic import BaseModel, Field, TypeAdapter

from api.auditing import record
from api.bodies import Body
from api.deps import caller, database, logins
from api.logins import Logins
from api.names import NAME
from api.paging import MAX_PAGE_SIZE, PageSize, PageToken, next_token, position_of
from api.problems import ProblemError, documented, invalid
from api.reach import check_reach
from api.scopes import USERS_WRITE
from noctis import passphrases
from noctis.identity import Principal, Role, check_role
from noctis.storage import users
from noctis.storage.database import Connection, Database
from noctis.storage.errors import LastAdminError

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/users",
    tags=["users"],
    responses=documented(401, 403, 422, 429, 503, 504),
)

UserName = Annotated[str, Path(pattern=NAME, examples=["ann"])]
Admin = Annotated[Principal, Security(caller, scopes=[USERS_WRITE])]
Store = Annotated[Database, Depends(database)]
Passphrase = Annotated[
    str,
    Field(
        min_length=passphrases.FEWEST,
        max_length=passphrases.MOST,
        json_schema_extra={"format": "password"},
    ),
]
_BY_NAME: Final = TypeAdapter(tuple[str])


class User(BaseModel):
    """A user of the tenant; logs in as `name@tenant`."""

    name: str = Field(examples=["ann"])
    role: Role = Field(description="what tokens may be good for")
    created_at: datetime


class UserPage(BaseModel):
    """Users by name."""

    users: list[User]
    next_page_token: str | None = Field(description="null on the last page")


class NewUser(Body):
    """A user to be."""

    name: str = Field(pattern=NAME, examples=["ann"])
    role: Role = "member"
    password: Passphrase | None = Field(None, description="one is made without it")


class CreatedUser(User):
    """A user, and the password that was made, which is shown this once."""

    password: str | None = Field(description="null where the request brought one")


class UserChange(Body):
    """What is to be different; either ends the user's sessions."""

    role: Role | None = None
    password: Passphrase | None = None


@router.get(
    "",
    operation_id="listUsers",
    summary="List the tenant's users",
    responses=documented(400),
)
async def list_users(
    who: Admin, store: Store, page_size: PageSize = 100, page_token: PageToken = None
) -> UserPage:
    """Return the users by name."""
    [after] = position_of(page_token, _BY_NAME) if page_token else [""]
    size = min(page_size, MAX_PAGE_SIZE)
    found = await store.call(
        lambda it: users.list_of(who.tenant, it, after=after, limit=size + 1)
    )
    page = found[:size]
    token = next_token([page[-1].name]) if len(found) > size else None
    return UserPage(users=[_shown(each) for each in page], next_page_token=token)


@router.get(
    "/{user:name}", operation_id="getUser", summary="Get a user", responses=documented(404)
)
async def get_user(user: UserName, who: Admin, store: Store) -> User:
    """Return one of the tenant's users."""
    return _shown(await store.call(lambda it: users.get(who.tenant, it, user)))


@router.post(
    "",
    operation_id="createUser",
    summary="Add a user",
    status_code=201,
    responses=documented(409, "exists", "role"),
)
async def create_user(
    wanted: NewUser,
    who: Admin,
    store: Store,
    known: Annotated[Logins, Depends(logins)],
    response: Response,
) -> CreatedUser:
    """Add a user in a role that grants nothing that this token does not."""
    check_reach(who, wanted.role)
    secret = wanted.password or passphrases.generate()
    hashed = await _hashed(known, secret)

    def work(connection: Connection) -> users.User:
        made = users.add(
            who.tenant, connection, wanted.name, role=wanted.role, password_hash=hashed
        )
        record(who, connection, "user_added", made.name, role=made.role)
        return made

    made = await store.call(work)
    response.headers["Location"] = f"/v1/users/{made.name}"
    told = None if wanted.password else secret
    return CreatedUser(**_shown(made).model_dump(), password=told)


@router.patch(
    "/{user:name}",
    operation_id="updateUser",
    summary="Give a user another role or password",
    responses=documented(404, 409, "last-admin", "role"),
)
async def update_user(
    user: UserName,
    change: UserChange,
    who: Admin,
    store: Store,
    known: Annotated[Logins, Depends(logins)],
) -> User:
    """Change a user, and end his sessions; his access tokens are void within seconds.

    Neither a role nor a user is in reach that grants more than this token does. The last admin
    stays one.
    """
    if change.role is not None:
        check_reach(who, change.role)
    hashed = None if change.password is None else await _hashed(known, change.password)

    def work(connection: Connection) -> users.User:
        made = users.locked(who.tenant, connection, user)
        check_reach(who, made.role)
        if change.role is not None:
            made = users.set_role(who.tenant, connection, user, change.role)
            record(who, connection, "user_role_set", user, role=made.role)
        if hashed is not None:
            made = users.set_password(who.tenant, connection, user, hashed)
            record(who, connection, "user_password_set", user)
        return made

    return _shown(await _sparing(store, work))


@router.delete(
    "/{user:name}",
    operation_id="deleteUser",
    summary="Remove a user",
    status_code=204,
    responses=documented(404, 409, "last-admin", "role"),
)
async def delete_user(user: UserName, who: Admin, store: Store) -> None:
    """Remove a user, and end his sessions; his access tokens are void within seconds.

    The last admin stays.
    """

    def work(connection: Connection) -> users.User:
        gone = users.locked(who.tenant, connection, user)
        check_reach(who, gone.role)
        users.remove(who.tenant, connection, user)
        record(who, connection, "user_removed", user)
        return gone

    await _sparing(store, work)


async def _sparing(store: Database, work: Callable[[Connection], users.User]) -> users.User:
    try:
        return await store.call(work)
    except LastAdminError as error:
        raise ProblemError(409, str(error), kind="last-admin") from error


async def _hashed(known: Logins, secret: str) -> str:
    try:
        return await known.hashed(secret)
    except passphrases.PassphraseError as error:
        raise invalid(("body", "password"), error.message) from error


def _shown(user: users.User) -> User:
    return User(name=user.name, role=check_role(user.role), created_at=user.created_at)
