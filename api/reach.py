"""Whom a caller may make, change or put down: nobody who may do more than he himself."""

from api.problems import ProblemError
from api.scopes import granted
from noctis.identity import Principal

__all__ = ["check_reach"]


def check_reach(who: Principal, role: str | None) -> None:
    """Raise ProblemError 403 for a role that grants what the caller's token does not.

    So nobody makes himself, or a friend, mightier than he is, nor puts somebody down who is.
    """
    beyond = granted(role) - who.scopes
    if beyond:
        named = "an app" if role is None else f"role {role}"
        detail = f"{named} is granted more than this token: {', '.join(sorted(beyond))}"
        raise ProblemError(403, detail, kind="role")
