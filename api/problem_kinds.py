"""Every kind of problem that the facade answers with: a stable name, when it comes, what to do.

``type`` of a problem is ``urn:noctis:problem:<name>``. A name never changes its meaning and is
never used again for something else.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["KINDS", "PLAIN", "Kind", "uri_of"]

PLAIN: Final = "about:blank"
"""The type of what its status says already."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem; ``detail`` is an example of what it says."""

    statuses: tuple[int, ...]
    when: str
    cure: str
    detail: str


def uri_of(kind: str) -> str:
    """Return a kind's ``type``; of an empty name the one that says nothing."""
    return f"urn:noctis:problem:{kind}" if kind else PLAIN


_FIRST: Final[Mapping[str, Kind]] = {
    "token": Kind(
        (401, 400),
        "The token is forged, has ended or was taken back; or there are two (400).",
        "Get another one from `POST /v1/auth/token`.",
        "the token has expired (get one from POST /v1/auth/token)",
    ),
    "no-token": Kind(
        (401,),
        "The request has no `Authorization: Bearer`.",
        "Get a token from `POST /v1/auth/token` and send it.",
        "this needs a token; get one from POST /v1/auth/token",
    ),
    "scope": Kind(
        (403,),
        "The token is good, but not for this.",
        "`WWW-Authenticate` names the scope. Ask for a token with it; what an account may have "
        "is up to its role.",
        "the token lacks devices:write",
    ),
    "role": Kind(
        (403,),
        "A user or an app would get, or has, a role that grants more than the caller's token.",
        "Let somebody do it who may do as much.",
        "role platform is granted more than this token: experiments:write, models:write",
    ),
    "quota": Kind(
        (403,),
        "The tenant has as many devices as it may.",
        "Revoke one, or ask the operator for a larger quota.",
        "tenant 'home' may have 2 active devices, and has them",
    ),
    "password": Kind(
        (403,),
        "The old password, or the login, is wrong. Which of them is not told.",
        "Try again; after ten wrong ones it takes a minute each.",
        "login or password is wrong",
    ),
    "page-token": Kind(
        (400,),
        "A `page_token` that was not made here, or for other parameters.",
        "Begin again without it, or keep the parameters as they were.",
        "page_token belongs to a list with other parameters; keep them as they were",
    ),
    "invalid": Kind(
        (422,),
        "A part of the request makes no sense.",
        "`errors` names each part, as a JSON pointer, and what is wrong with it.",
        "cannot be understood: query.page_size",
    ),
    "requests": Kind(
        (429,),
        "The tenant asks more often than its quota allows.",
        "Wait for `Retry-After` seconds, and go by `RateLimit`.",
        "tenant 'home' has asked too often; wait, and go on more slowly",
    ),
    "database-unavailable": Kind(
        (503,),
        "Nobody at the database answers.",
        "Try again after `Retry-After` seconds. Nothing was stored; what changes something is "
        "safe to send again.",
        "the database cannot be reached; try again",
    ),
    "deadline": Kind(
        (504,),
        "The database did not answer in time.",
        "Try again, or ask for less. What changes something may have been done: look first.",
        "the answer took too long; try again or ask for less",
    ),
}
"""Those that many routes share."""

_OWN: Final[Mapping[str, Kind]] = {
    "alias": Kind(
        (409,),
        "A rollback of an alias that was never moved.",
        "Nothing is to be done: it points where it always did.",
        "alias 'champion' of 'stager' has no switch to undo",
    ),
    "broker": Kind(
        (503,),
        "The facade has no connection to the broker, so it hears no live stage.",
        "Come back after `Retry-After` seconds, with `Last-Event-ID`.",
        "the broker cannot be reached",
    ),
    "busy": Kind(
        (429,),
        "Too many at once of what costs much: logins, predictions, uploads, operations.",
        "Wait for `Retry-After` seconds.",
        "too many wrong passwords for this login; wait, and try again",
    ),
    "changed": Kind(
        (412,),
        "It is not in the state that `If-Match` names: somebody changed it.",
        "Read it again (`ETag` is its state now), and decide anew.",
        'it has changed since; it is "3" now: read it again',
    ),
    "done": Kind(
        (409,),
        "An operation that is done cannot be resumed.",
        "Order another one.",
        "it is done; order another one",
    ),
    "edition": Kind(
        (409,),
        "The database is a plain PostgreSQL, or a TimescaleDB without what was asked for.",
        "Nothing is to be done; what needs TimescaleDB is not there.",
        "chunks are TimescaleDB's; this is a plain PostgreSQL",
    ),
    "epochs": Kind(
        (429,),
        "The tenant sends more epochs a minute over HTTP than its quota allows.",
        "Wait for `Retry-After` seconds, and send the same again: nothing of it was stored.",
        "tenant 'home' may send 120000 epochs a minute; wait",
    ),
    "exists": Kind(
        (409,),
        "The name is taken.",
        "Choose another one; after an answer that was lost, look at what is there.",
        "device 'home/bedroom' exists already",
    ),
    "faults-forbidden": Kind(
        (403,),
        "A fault was ordered of a process that does not allow them.",
        "Start it with `NOCTIS_FAULTS=allowed`, on a rig and not where people sleep.",
        "process 'ingestor' does not allow faults",
    ),
    "found": Kind(
        (409,),
        "Kind, start and end of a night that was found are the device's to say.",
        "Declare another recording with `POST /v1/recordings`.",
        "it was found in what the device saw; POST /v1/recordings declares another",
    ),
    "gate": Kind(
        (409,),
        "The promotion gate does not let the version become champion.",
        "The detail names the reasons. Compare again with more nights, or override with a "
        "reason that the history keeps.",
        "the champion moves by :promote, past the gate, and by :rollback",
    ),
    "last-admin": Kind(
        (409,),
        "A tenant keeps its last admin.",
        "Make another user an admin first.",
        "user 'ann' is the last admin of tenant 'home' (make another user an admin first)",
    ),
    "media-type": Kind(
        (415,),
        "The body is of another media type than the route takes.",
        "Send the one that the route names.",
        "send a zip, as application/zip",
    ),
    "model": Kind(
        (409, 503),
        "A version that does not load, or is not what it says it is.",
        "The detail says what is wrong with it. What served before serves on.",
        "version 'try-1' of 'stager' does not load: a file differs from its sha256",
    ),
    "no-ca": Kind(
        (409,),
        "Certificates are not set up on this platform.",
        "Ask for a password instead, or have the operator run `noctis ca init`.",
        "this platform has no CA; ask for a password",
    ),
    "no-model": Kind(
        (503,),
        "No model is loaded, so nothing can be staged.",
        "Try again after `Retry-After` seconds; `/readyz` says why.",
        "no model is loaded",
    ),
    "no-stage": Kind(
        (422,),
        "The epoch that is to be explained has no stage.",
        "Ask for one that was in bed and well enough measured.",
        "that epoch has no stage: none is stored, an empty bed, or too little measured",
    ),
    "not-ready": Kind(
        (503,),
        "Database, broker or model does not answer, or the process is about to end.",
        "`checks` names what is away. Send requests to another process.",
        "database: the database cannot be reached",
    ),
    "not-allowed": Kind(
        (403,),
        "Operators may not do this to this platform, as its settings say.",
        "Set what `detail` names, for the services that it names, where it is meant.",
        "loads are not allowed here: NOCTIS_STRESS is not set to allowed",
    ),
    "overlap": Kind(
        (409,),
        "A declared recording of that kind overlaps it.",
        "Change or delete that one, or declare another kind.",
        "recording bce4a0b0-c038-437c-b59f-8b4940fc2828, a study from "
        "2026-10-21T21:30:00+00:00 to 2026-10-22T05:30:00+00:00, overlaps it (change or delete "
        "that one, or declare another kind)",
    ),
    "precondition": Kind(
        (428,),
        "The change wants an `If-Match`.",
        "Read it, and send its `ETag` as `If-Match`.",
        "send If-Match with the ETag of what you have read",
    ),
    "revoked": Kind(
        (409,),
        "The device is revoked, for good.",
        "Add it under a new name.",
        "device 'bedroom' is revoked: add it under a new name",
    ),
    "streams": Kind(
        (429,),
        "The tenant has as many streams open as it may, in this process.",
        "Close one, or come back after `Retry-After` seconds.",
        "tenant 'home' has 20 streams open already",
    ),
    "too-much": Kind(
        (422,),
        "The question is about more epochs than one answer may have.",
        "Ask for a shorter time.",
        "that are 2880 epochs; 1440 at most",
    ),
    "torn": Kind(
        (400,),
        "The upload was cut off.",
        "Send it again; nothing of it is kept.",
        "the upload was cut off",
    ),
}
"""Those that are some routes' own."""

KINDS: Final[Mapping[str, Kind]] = dict(sorted({**_FIRST, **_OWN}.items()))
