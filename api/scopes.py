"""What a token may be good for, and what each role is granted."""

from typing import Final

__all__ = [
    "ALERTS_ACKNOWLEDGE",
    "ALERTS_READ",
    "ALERTS_WRITE",
    "APP_SCOPES",
    "DEVICES_READ",
    "DEVICES_WRITE",
    "DRIFT_READ",
    "EPOCHS_READ",
    "EPOCHS_WRITE",
    "EVALUATION_RUN",
    "EXPERIMENTS_READ",
    "EXPERIMENTS_WRITE",
    "INTERNAL_READ",
    "INTERNAL_RUN",
    "INTERNAL_SCOPES",
    "LABELS_WRITE",
    "MODELS_READ",
    "MODELS_WRITE",
    "OPERATIONS_READ",
    "PREDICT",
    "PREDICTIONS_READ",
    "RECORDINGS_READ",
    "RECORDINGS_WRITE",
    "REPLAY_RUN",
    "ROLES",
    "SCOPES",
    "USERS_WRITE",
    "granted",
    "granted_internally",
]

DEVICES_READ: Final = "devices:read"
DEVICES_WRITE: Final = "devices:write"
EPOCHS_READ: Final = "epochs:read"
EPOCHS_WRITE: Final = "epochs:write"
PREDICTIONS_READ: Final = "predictions:read"
PREDICT: Final = "predict"
RECORDINGS_READ: Final = "recordings:read"
RECORDINGS_WRITE: Final = "recordings:write"
LABELS_WRITE: Final = "labels:write"
MODELS_READ: Final = "models:read"
MODELS_WRITE: Final = "models:write"
EVALUATION_RUN: Final = "evaluation:run"
DRIFT_READ: Final = "drift:read"
REPLAY_RUN: Final = "replay:run"
OPERATIONS_READ: Final = "operations:read"
EXPERIMENTS_READ: Final = "experiments:read"
EXPERIMENTS_WRITE: Final = "experiments:write"
USERS_WRITE: Final = "users:write"
ALERTS_READ: Final = "alerts:read"
ALERTS_ACKNOWLEDGE: Final = "alerts:acknowledge"
ALERTS_WRITE: Final = "alerts:write"
INTERNAL_READ: Final = "internal:read"
INTERNAL_RUN: Final = "internal:run"

APP_SCOPES: Final = {
    DEVICES_READ: "list the tenant's devices",
    EPOCHS_READ: "read their epochs",
    PREDICTIONS_READ: "read their sleep stages",
}

SCOPES: Final = APP_SCOPES | {
    RECORDINGS_READ: "read the tenant's nights",
    ALERTS_READ: "read the tenant's alerts and their rules",
    ALERTS_ACKNOWLEDGE: "say that an alert was seen",
    ALERTS_WRITE: "change the rules of alerts",
    MODELS_READ: "read the models' versions and figures",
    DRIFT_READ: "read how far the tenant's devices have drifted",
    PREDICT: "stage epochs, stored or sent",
    RECORDINGS_WRITE: "change and delete nights",
    LABELS_WRITE: "keep and remove reference stages",
    EPOCHS_WRITE: "send epochs of the tenant's devices",
    DEVICES_WRITE: "provision, configure, rotate and revoke devices",
    EVALUATION_RUN: "hold a version against the tenant's reference stages",
    REPLAY_RUN: "let another version stage what is stored",
    OPERATIONS_READ: "follow, cancel and resume what takes long, of those kinds it may order",
    USERS_WRITE: "add, change and remove the tenant's users and apps",
    EXPERIMENTS_READ: "read the platform's experiments",
    EXPERIMENTS_WRITE: "start and stop experiments, for the whole platform",
    MODELS_WRITE: "upload, promote and roll back models, for the whole platform",
}
"""Every scope of the facade, with what it is good for."""

INTERNAL_SCOPES: Final = {
    INTERNAL_READ: "see how the whole platform fares, all tenants",
    INTERNAL_RUN: "put the platform under load, break and mend its parts",
}
"""Those of ``/internal``. No token of the facade has one, whoever asks for it there."""

_VIEWER: Final = frozenset(
    {
        ALERTS_READ,
        DEVICES_READ,
        EPOCHS_READ,
        PREDICTIONS_READ,
        RECORDINGS_READ,
        MODELS_READ,
        DRIFT_READ,
    }
)
_MEMBER: Final = _VIEWER | {ALERTS_ACKNOWLEDGE, PREDICT, RECORDINGS_WRITE, LABELS_WRITE}
_ADMIN: Final = _MEMBER | {
    ALERTS_WRITE,
    EPOCHS_WRITE,
    DEVICES_WRITE,
    EVALUATION_RUN,
    REPLAY_RUN,
    OPERATIONS_READ,
    USERS_WRITE,
}

ROLES: Final[dict[str, frozenset[str]]] = {
    "viewer": _VIEWER,
    "member": _MEMBER,
    "admin": _ADMIN,
    "platform": frozenset(SCOPES),
}
"""What each role may ask for. ``admin`` rules one tenant; ``platform`` the models of all."""


def granted(role: str | None) -> frozenset[str]:
    """Return what a role may ask for; an app without one may read devices and their epochs."""
    return frozenset(APP_SCOPES) if role is None else ROLES.get(role, frozenset())


def granted_internally(role: str | None) -> frozenset[str]:
    """Return what a role may ask for at ``/internal``: ``platform`` all, any other nothing."""
    return frozenset(INTERNAL_SCOPES) if role == "platform" else frozenset()
