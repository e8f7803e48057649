"""What the registry says of versions and aliases: unknown, taken, moved, nothing before it."""

from noctis.errors import ModelError

__all__ = [
    "AliasMovedError",
    "NothingToUndoError",
    "UnknownVersionError",
    "VersionExistsError",
]


class UnknownVersionError(ModelError):
    """There is no such version of the model, or no such model."""


class VersionExistsError(ModelError):
    """The version is there already, and never changes."""


class AliasMovedError(ModelError):
    """The alias points at another version than was expected."""


class NothingToUndoError(ModelError):
    """The alias points nowhere, so there is no switch to take back."""
