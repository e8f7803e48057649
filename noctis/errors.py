"""The errors of Noctis: what was wrong, where, and what to do about it."""

from typing_extensions import override

__all__ = [
    "CertificateError",
    "ConfigurationError",
    "FrameError",
    "IdentityError",
    "ModelError",
    "NoctisError",
    "ProcessError",
    "StorageError",
    "StorageUnavailableError",
    "StorageUnreachableError",
    "TopicError",
]


class NoctisError(Exception):
    """Something that Noctis can name; ``hint`` says what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @override
    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class IdentityError(NoctisError):
    """A tenant's, device's or app's name that does not match ``[a-z0-9-]{1,32}``."""


class TopicError(NoctisError):
    """A topic of a wrong shape, or of a shard that is not its sender's."""


class FrameError(NoctisError):
    """Bytes that are no frame, slot or acknowledgement of the protocol.

    ``reason`` is one short word for metrics and dead letters, such as ``"crc"``.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigurationError(NoctisError):
    """A setting that is missing or makes no sense."""


class CertificateError(NoctisError):
    """A certificate, key or certificate request that is missing, damaged or not acceptable."""


class ProcessError(NoctisError):
    """A child process, such as the broker or the database, that does not do its work."""


class StorageError(NoctisError):
    """The database refused; trying the same again will not help."""


class StorageUnavailableError(StorageError):
    """The database refuses for now, or is not there at all; trying again may help.

    ``retry_after_s`` tells when, where that is known; 0 where it is not.
    """

    retry_after_s: float = 0.0


class StorageUnreachableError(StorageUnavailableError):
    """Nobody answers: no connection, one that broke, or silence until the deadline."""

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class ModelError(NoctisError):
    """A model that is missing, damaged, or does not fit the features."""
