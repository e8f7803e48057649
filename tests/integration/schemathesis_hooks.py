"""How Schemathesis sends what it has no format for: an archive, a frame."""

from typing import Any

import schemathesis

__all__ = ["send_bytes"]


@schemathesis.serializer("application/zip", "application/octet-stream")
def send_bytes(_context: Any, value: Any) -> bytes:  # noqa: ANN401 - what was generated
    """Send what was generated as it is."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")
