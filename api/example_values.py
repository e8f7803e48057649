"""What examples show: one home with one device, and one night of March."""

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["BODIES", "CHANGES", "NAMED"]

_SECRET: Final = "correct-horse-battery-staple"  # noqa: S105 - of an example
_BY_STAGE: Final = {"wake": -1.204, "light": 0.713, "deep": -0.441, "rem": -0.958}
_HEART: Final = {"wake": -0.312, "light": 0.207, "deep": 0.418, "rem": -0.106}
_SPREAD: Final = {"wake": 0.011, "light": 0.009, "deep": 0.014, "rem": 0.008}
_SHARES: Final = {"wake": 0.0817, "light": 0.5358, "deep": 0.181, "rem": 0.2016}
_ID: Final = "0b7e4a3c-19d2-4f6a-8c55-a1b2c3d4e5f6"
_NIGHT: Final = "2a307342-7ad9-4efe-bd79-b5eee2c0f3ab"

NAMED: Final[Mapping[str, Any]] = {
    # Moments of the night.
    "answered_at": "2026-03-02T06:31:07Z",
    "at": "2026-03-01T22:14:31Z",
    "changed_at": "2026-02-28T18:02:44Z",
    "created": "2026-02-27T09:12:00Z",
    "created_at": "2026-02-27T18:30:12Z",
    "done_at": "2026-03-02T06:31:40Z",
    "ended_at": "2026-03-02T05:58:30Z",
    "erased_at": "2026-03-02T06:31:12Z",
    "evening": "2026-03-01",
    "finished_at": "2026-03-02T06:33:20Z",
    "made_at": "2026-03-02T07:00:00Z",
    "reported_at": "2026-03-02T06:32:10Z",
    "requested_at": "2026-03-02T06:31:05Z",
    "revised_at": "2026-03-02T06:30:02Z",
    "revoked_at": None,
    "sent_at": "2026-03-02T06:31:05Z",
    "start": "2026-03-01T22:14:30Z",
    "started_at": "2026-03-01T21:47:30Z",
    "stopped_at": None,
    # Who and what.
    "data": '{"device":"bedroom","t":"2026-03-01T22:14:30Z","seq":731,"stage":"light"}',
    "device": "bedroom",
    "event": "stage",
    "id": _ID,
    "next_page_token": None,
    "replaced_by": None,
    "stream": "00f1e2d3c4b5a697",
    "Alert.id": 511,
    "Alert.acknowledged_at": None,
    "Alert.cleared_at": None,
    "raised_at": "2026-03-01T22:24:30Z",
    "Erasure.id": 7,
    "Hypnogram.id": _NIGHT,
    "Recording.id": _NIGHT,
    "streamStages.id": "1772403270-00f1e2d3c4b5a697-731",
    "KeptDrift.device": None,
    "Drift.device": None,
    "Experiment.tenant": None,
    # Secrets, each shown once.
    "client_secret": _SECRET,
    "new_password": "purple-monkey-dishwasher",
    "password": _SECRET,
    "refresh_token": "home.gSV1OpoiT2a0qlyD5X548MOijxG2cTKQYJbE_33zLKXBdStji3pMk1K-Nclq8t31",
    "token": "home.gSV1OpoiT2a0qlyD5X548MOijxG2cTKQYJbE_33zLKXBdStji3pMk1K-Nclq8t31",
    "scope": "devices:read epochs:read predictions:read",
    "KeySet.keys": [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": "JoV6s1X0mFw2",
            "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        }
    ],
    # A device.
    "backlog": 0,
    "boot": 12,
    "in_bed": True,
    "in_force": True,
    "least_free_heap": 164000,
    "free_heap": 181000,
    "next_seq": 732,
    "number": 2,
    "oldest_seq": 0,
    "Ordered.overwritten": 0,
    "puback_ms": 35,
    "rssi": -61,
    "stack_left": 3100,
    "times": 1,
    "Status.accelerometer": "ok",
    "Status.accelerometer_id": 104,
    "Status.boots": 12,
    "Status.certificate": "",
    "Status.clock": "sntp",
    "Status.config": 3,
    "Status.firmware": "noctis-device 0.1.0",
    "Status.radar": "ok",
    "Status.radar_family": "mr60bha2",
    "Status.reconnects": 2,
    "Status.reset": "power_on",
    "Status.uptime_s": 86405,
    "Command.body": {"command": "reboot"},
    "Command.state": "done",
    "Command.detail": {},
    "Shadow.version": 3,
    "Reported.version": 3,
    "Update.percent": None,
    "Update.reason": None,
    "Update.running": "0.2.0",
    "Erasure.state": "done",
    "Erasure.counts": {"epochs": 2810, "predictions": 2810, "recordings": 3},
    "Erasure.keep_device": False,
    # Epochs over HTTP, stages on request.
    "Ingested.stored": 1,
    "Ingested.duplicate": 0,
    "Ingested.disposed": 0,
    "Ingested.rejected": 0,
    "Outcome.detail": None,
    "Outcome.reason": None,
    "Outcome.pointer": None,
    "Outcome.status": "stored",
    "NewRun.seq": 730,
    "index": 0,
    "Kept.replaced": 0,
    "Reasons.base": _BY_STAGE,
    "Reasons.log_odds": {"wake": -2.51, "light": 1.84, "deep": 0.12, "rem": -1.07},
    "Reasons.contributions": {"hr_mean": _HEART},
    "Reasons.standard_errors": {"hr_mean": _SPREAD},
    # Nights.
    "Recording.declared_by": None,
    "Recording.state": "closed",
    "Recording.epochs": 982,
    "missing": 0,
    "unstaged": 2,
    "note": "with the mask",
    "revision": 117,
    "tags": ["mask"],
    "excluded": False,
    # Models, drift, experiments.
    "Process.is_champion": True,
    "Process.refusal": None,
    "Reloaded.looked": True,
    "card": "# stager 20261122-51fbb6d0\n\nA causal net over 15 features.\n",
    "damage": None,
    "kappa_interval": [0.45, 0.55],
    "macro_f1": 0.58,
    "shipped": True,
    "Model.versions": 2,
    "Drift.since": "2026-02-16",
    "Drift.until": "2026-03-02",
    "KeptDrift.until": "2026-03-02",
    "Drift.nights": 14,
    "Drift.sleepers": 2,
    "Drift.confidence": None,
    "Drift.changes": None,
    "Drift.stages": _SHARES,
    "Drift.trained_stages": _SHARES,
    "Experiment.refusal": None,
    "share": 0.1,
    # What takes long.
    "Operation.state": "done",
    "Operation.error": None,
    "Operation.started_at": "2026-03-02T06:31:06Z",
    # For monitors.
    "Check.ok": True,
    "Check.reason": None,
    "Check.seconds": 0.0109,
    "Check.version": None,
}
"""By a field's name, or by ``<schema>.<field>`` where a field of that name means its own."""

_EPOCHS: Final = [
    {"in_bed": True, "features": {"hr_mean": 57.0, "rr_mean": 14.2, "quality": 0.9}},
    None,
    {"in_bed": True, "features": {"hr_mean": 56.5, "rr_mean": 14.0, "quality": 0.9}},
]
_METRICS: Final = """\
# HELP noctis_api_requests_total Requests answered.
# TYPE noctis_api_requests_total counter
noctis_api_requests_total{method="GET",route="/v1/devices",status="200"} 42.0
"""
_SPAN: Final = {
    "device": "bedroom",
    "since": "2026-03-01T12:00:00Z",
    "until": "2026-03-02T12:00:00Z",
}
_NAMED_EPOCHS: Final = {
    "device": "bedroom",
    "since": "2026-03-01T22:14:30Z",
    "until": "2026-03-01T22:15:30Z",
}

BODIES: Final[Mapping[str, Any]] = {
    "createToken request application/x-www-form-urlencoded": {
        "grant_type": "password",
        "username": "ann@home",
        "password": _SECRET,
        "scope": "devices:read epochs:read predictions:read",
    },
    "ingestEpochs request application/json": {
        "stream": "00f1e2d3c4b5a697",
        "run": {"seq": 730, "start": "2026-03-01T22:14:30Z"},
        "epochs": [
            {"seq": 731, "in_bed": True, "features": {"hr_mean": 57.0, "quality": 0.9}},
            {"seq": 732, "in_bed": True, "features": {"hr_mean": 56.5, "quality": 0.9}},
        ],
    },
    "startReplay request application/json": {"version": "challenger", **_SPAN},
    "startEvaluation request application/json": {
        "version": "challenger",
        "source": "psg",
        **_SPAN,
    },
    "predictStages request application/json": _NAMED_EPOCHS,
    "explainStage request application/json": {"epochs": _EPOCHS},
    "getMetrics 200 text/plain": _METRICS,
    "getReadiness 200 application/json": {
        "status": "ready",
        "checks": {
            "database": {"ok": True, "seconds": 0.0163},
            "broker": {"ok": True, "seconds": 0.0109},
            "model": {"ok": True, "seconds": 0.0076, "version": "stager@20261122-51fbb6d0"},
        },
    },
    "getHypnogram 200 text/csv": "start,stage\n2026-03-01T21:47:30Z,wake\n",
}
"""Bodies whose parts do not say how they go together."""

_ORDERED: Final = {
    "state": "queued",
    "progress": {"done": 0, "total": None, "unit": "epochs"},
    "started_at": None,
    "finished_at": None,
    "result": None,
}
_PENDING: Final = {"state": "pending", "sent_at": None, "answered_at": None}
_DECLARED: Final = {"kind": "study", "declared_by": "user:ann@home", "state": "open"}

CHANGES: Final[Mapping[str, Mapping[str, Any]]] = {
    "startReplay 202 application/json": _ORDERED,
    "startEvaluation 202 application/json": {**_ORDERED, "kind": "evaluation"},
    "reportExperiment 202 application/json": {
        **_ORDERED,
        "kind": "experiment",
        "request": {"experiment": "eyes", "source": "psg"},
    },
    "cancelOperation 200 application/json": {"state": "cancelling", "finished_at": None},
    "resumeOperation 200 application/json": {"state": "queued", "finished_at": None},
    "rebootDevice 202 application/json": _PENDING,
    "identifyDevice 202 application/json": {
        **_PENDING,
        "body": {"command": "identify", "seconds": 30},
    },
    "eraseDevice 202 application/json": {
        "state": "requested",
        "erased_at": None,
        "done_at": None,
        "counts": {},
    },
    "revokeDevice 200 application/json": {"revoked_at": "2026-03-02T09:00:00Z"},
    "createRecording 201 application/json": _DECLARED,
    "createRecording 200 application/json": _DECLARED,
}
"""Where the example of one body differs from what its parts say."""
