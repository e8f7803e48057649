"""What a token may be good for."""

from typing import Final

__all__ = ["APP_SCOPES", "DEVICES_READ", "EPOCHS_READ", "PREDICTIONS_READ"]

DEVICES_READ: Final = "devices:read"
EPOCHS_READ: Final = "epochs:read"
PREDICTIONS_READ: Final = "predictions:read"

APP_SCOPES: Final = {
    DEVICES_READ: "list the tenant's devices",
    EPOCHS_READ: "read their epochs",
    PREDICTIONS_READ: "read their sleep stages",
}
