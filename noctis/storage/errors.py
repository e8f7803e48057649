"""What storage functions say of names: that they are taken, or that nobody has them."""

from noctis.errors import StorageError

__all__ = ["AlreadyExistsError", "NotFoundError"]


class AlreadyExistsError(StorageError):
    """The name is taken."""


class NotFoundError(StorageError):
    """The tenant has no such thing, or there is no such tenant."""
