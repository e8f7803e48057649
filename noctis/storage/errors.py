"""What storage functions say of names: taken, unknown, or still needed."""

from noctis.errors import StorageError

__all__ = ["AlreadyExistsError", "LastAdminError", "NotFoundError"]


class AlreadyExistsError(StorageError):
    """The name is taken."""


class NotFoundError(StorageError):
    """The tenant has no such thing, or there is no such tenant."""


class LastAdminError(StorageError):
    """The tenant would be left without anybody who may manage its users."""
