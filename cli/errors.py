"""Errors of commands, and the exit code of each: one number for each thing to do next."""

import errno
from typing import Final

from noctis.errors import NoctisError, StorageUnavailableError

__all__ = [
    "EXIT_CODES",
    "FacadeError",
    "SignInError",
    "UnreachableError",
    "exit_code",
    "foreseen",
]

EXIT_CODES: Final = {
    0: "done, and the verdict holds where there is one",
    1: "refused, failed, or the verdict does not hold",
    2: "the command line cannot be understood",
    3: "nobody answers: the database, the broker or the facade is away; try again later",
    4: "not logged in, or not allowed",
}
"""What a command ends with."""
_AWAY: Final = 3
_NOT_ALLOWED: Final = 4


class FacadeError(NoctisError):
    """A problem that a facade told, with its HTTP ``status``."""

    def __init__(self, status: int, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


class SignInError(NoctisError):
    """The facade does not know the caller, or not any more, or does not let him do that."""


class UnreachableError(NoctisError):
    """Nobody answers, or not in time."""


def exit_code(error: NoctisError) -> int:
    """Return what a command ends with that raised ``error``."""
    if isinstance(error, SignInError):
        return _NOT_ALLOWED
    return _AWAY if isinstance(error, StorageUnavailableError | UnreachableError) else 1


_CURES: Final = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room: the quota of the disk is used up",
    errno.EROFS: "name a folder that can be written",
    errno.EACCES: "see to its permissions, or run it as who owns it",
    errno.EPERM: "see to its permissions, or run it as who owns it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}


def foreseen(error: OSError) -> NoctisError | None:
    """Return what the system's refusal means; None for one that is a fault of ours."""
    cure = _CURES.get(error.errno or 0)
    if cure is None:
        return None
    place = f"{error.filename}: " if error.filename else ""
    return NoctisError(f"{place}{error.strerror}", hint=cure)
