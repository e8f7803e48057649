"""What the checker must notice: rules of the product, each left out by a few replacements."""

from dataclasses import dataclass
from typing import Final

__all__ = ["MUTANTS", "Mutant", "Patch"]


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement; ``old`` stands in ``file`` exactly once."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule that is broken, how, and the kinds of wrong of which one must be found."""

    rule: str
    patches: tuple[Patch, ...]
    caught_by: tuple[str, ...]


_STORE: Final = "ingestor/store.py"
_COURIER: Final = "firmware/lib/noctis_core/src/courier.cpp"
_PREDICTIONS: Final = "noctis/storage/predictions.py"

MUTANTS: Final = (
    Mutant("nothing is broken", (), ()),
    Mutant(
        "acknowledge before COMMIT",
        (
            Patch(
                _STORE,
                "        done = await self._database.call("
                "lambda it: _store(it, messages, self._kept))\n",
                "        early = open_messages(messages)\n"
                "        outcomes: list[Outcome | None] = [None] * len(messages)\n"
                "        stored = [Verdict(STORED)] * len(early.batch)\n"
                "        for n, it in zip(early.places, told(early, stored), strict=True):\n"
                "            outcomes[n] = it\n"
                "        work = self._database.call("
                "lambda it: _store(it, messages, self._kept))\n"
                "        _later.append(asyncio.ensure_future(work))\n"
                "        return outcomes\n"
                "        done = await self._database.call("
                "lambda it: _store(it, messages, self._kept))\n",
            ),
            Patch(
                _STORE,
                "from collections import Counter\n",
                "import asyncio\nfrom collections import Counter\n",
            ),
            Patch(_STORE, "_DETAIL: Final = 500\n", "_DETAIL: Final = 500\n_later = []\n"),
        ),
        ("lost",),
    ),
    Mutant(
        "drop on reconnect",
        (
            Patch(
                _COURIER,
                "  cursor_ = std::min(cursor_, message.first);\n",
                "  spool_.mark_done(message.stream, message.first,"
                " message.last - message.first + 1);\n",
            ),
        ),
        ("lost",),
    ),
    Mutant(
        "free flash on PUBACK",
        (
            Patch(
                _COURIER,
                "      message.deadline_ms = deadline(message.kind);\n"
                "    }\n  }\n  log_.on_ack",
                "      spool_.mark_done(message.stream, message.first,"
                " message.last - message.first + 1);\n    }\n  }\n  log_.on_ack",
            ),
        ),
        ("lost",),
    ),
    Mutant(
        "swallow a UniqueViolation",
        (
            Patch(
                "noctis/storage/rows.py",
                "    savepoint.rollback()\n    return False\n",
                "    savepoint.rollback()\n    return True\n",
            ),
            # So few devices never have so many live epochs on their way: copy any number.
            Patch("noctis/storage/rows.py", "BULK: Final = 256\n", "BULK: Final = 2\n"),
        ),
        ("lost",),
    ),
    Mutant(
        "reorder the epochs of a frame",
        (
            Patch(
                "noctis/storage/ingest.py",
                '    rows["seq"] = frames.seq[taken]\n',
                '    rows["seq"] = (frames.first[frame] + frames.last[frame]'
                " - frames.seq[taken])\n",
            ),
        ),
        ("altered",),
    ),
    Mutant(
        "reorder the stages of a device",
        (
            Patch(
                "inference/live.py",
                "            await self._apps.publish(topic, payload(staged), retain=True,"
                " expires_s=EXPIRES_S)\n",
                "            if moment.seq % 2 == 0:\n"
                "                await asyncio.sleep(1.0)\n"
                "            await self._apps.publish(topic, payload(staged), retain=True,"
                " expires_s=EXPIRES_S)\n",
            ),
        ),
        ("disordered",),
    ),
    Mutant(
        "cross a tenant in storage",
        (
            Patch(
                "ingestor/bridge.py",
                '    return Sender(sent.device, sent.channel == "backlog")\n',
                '    crossed = DeviceId("house-0", sent.device.device)\n'
                '    return Sender(crossed, sent.channel == "backlog")\n',
            ),
        ),
        ("crossed", "lost"),
    ),
    Mutant(
        "cross a tenant on the broker",
        (
            Patch(
                "inference/live.py",
                "        topic, moment = topics.stage(device), staged.moment\n",
                '        topic = topics.stage(DeviceId("house-0", device.device))\n'
                "        moment = staged.moment\n",
            ),
        ),
        ("crossed",),
    ),
    Mutant(
        "cross a tenant over REST",
        (
            Patch(
                "api/routes/epochs.py",
                "    return epochs.read(\n        who.tenant,\n",
                '    return epochs.read(\n        "house-0",\n',
            ),
            # Alone that would find no such device: the database shows each tenant its own.
            Patch(
                "noctis/storage/database.py",
                "        before = None if self._tenant is None"
                " else guards.entering(self._tenant())\n",
                "        before = None\n",
            ),
        ),
        ("crossed",),
    ),
    Mutant(
        "double a stored prediction",
        (
            Patch(
                "migrations/versions/0001_first_tables.py",
                '        sa.PrimaryKeyConstraint("device_id", "stream", "seq", "model_id"),\n',
                "",
            ),
            Patch(
                _PREDICTIONS,
                "ON CONFLICT (device_id, stream, seq, model_id) DO UPDATE\n"
                "   SET origin = excluded.origin, created_at = excluded.created_at\n"
                " WHERE excluded.{SERVED} AND NOT p.{SERVED}\n",
                "",
            ),
            Patch(
                _PREDICTIONS,
                "  JOIN devices d ON d.id = n.device_id\n ORDER BY n.device_id",
                "  JOIN devices d ON d.id = n.device_id\n"
                " CROSS JOIN generate_series(1, 2) twice\n ORDER BY n.device_id",
            ),
        ),
        ("predictions_doubled",),
    ),
    Mutant(
        "say two things of an epoch",
        (
            Patch(
                "inference/live.py",
                "            await self._apps.publish(topic, payload(staged), retain=True,"
                " expires_s=EXPIRES_S)\n",
                "            for said in (payload(staged), payload(staged)"
                """.replace(b'"in_bed":true', b'"in_bed":false')):\n"""
                "                await self._apps.publish(topic, said, retain=True,"
                " expires_s=EXPIRES_S)\n",
            ),
        ),
        ("predictions_doubled",),
    ),
    Mutant(
        "reuse a seq",
        (
            Patch(
                "firmware/lib/noctis_core/src/spool.cpp",
                "  frame.begin(stream_, seq, run_->seq, run_->slot);\n",
                "  const bool again = seq % 8 == 0 && seq > run_->seq + 1;\n"
                "  frame.begin(stream_, again ? seq - 1 : seq, run_->seq, run_->slot);\n",
            ),
        ),
        ("altered", "duplicates"),
    ),
)
"""The first leaves everything as it is: nothing may be found."""
