"""Who is not heard of, who holds a backlog, who lost epochs."""

from typing import Final

from scripts.dashboards.parts import Dashboard, Panel, Query, Row, rate

__all__ = ["DEVICES"]

DEVICES: Final = Dashboard(
    "noctis-devices",
    "Noctis: devices and tenants",
    "Who is not heard of, who holds a backlog, who lost epochs; tenants in trouble by name.",
    (
        Row(
            "Devices",
            (
                Panel(
                    "By state",
                    "new: never heard of; silent: for eleven minutes; lost: by its last will.",
                    (Query("sum by (state) (noctis_devices)", "{{state}}"),),
                ),
                Panel(
                    "Not heard of, by tenant",
                    "Of one tenant: its network. Of all: the broker, or its certificate.",
                    (
                        Query(
                            'topk(10, sum by (tenant) (noctis_devices{state=~"silent|lost"}))',
                            "{{tenant}}",
                        ),
                    ),
                ),
            ),
        ),
        Row(
            "Epochs",
            (
                Panel(
                    "Backlog",
                    "Held by devices, not acknowledged; comes by itself once they are online.",
                    (Query("topk(10, noctis_devices_backlog_epochs)", "{{tenant}}"),),
                ),
                Panel(
                    "Missing between stored ones",
                    "Of 5 to 20 minutes ago: gaps that the backlog should have filled.",
                    (Query("topk(10, noctis_devices_missing_epochs)", "{{tenant}}"),),
                    bad_from=1,
                ),
                Panel(
                    "Lost for good",
                    "Overwritten in full spools and rotten in flash, since the devices' boot.",
                    (
                        Query("topk(10, noctis_devices_overwritten_epochs)", "{{tenant}} full"),
                        Query("topk(10, noctis_devices_damaged_epochs)", "{{tenant}} rotten"),
                    ),
                    bad_from=1,
                ),
            ),
        ),
        Row(
            "Talk",
            (
                Panel(
                    "Connections",
                    "Of Mosquitto: devices, apps and services; and accounts that may connect.",
                    (
                        Query("noctis_broker_connections", "connections"),
                        Query("noctis_broker_accounts", "accounts"),
                    ),
                ),
                Panel(
                    "Orders and configurations",
                    "Commands sent, answered and open; configurations told.",
                    (
                        rate("noctis_commands_sent_total", legend="sent"),
                        rate("noctis_commands_answered_total", "state", rare=True),
                        rate("noctis_configs_told_total", legend="configurations"),
                        Query("sum(noctis_commands_open)", "open"),
                        rate(
                            "noctis_companion_refused_messages_total", legend="not understood"
                        ),
                    ),
                ),
                Panel(
                    "Told the time",
                    "Devices that know no other clock; many after a power cut are normal.",
                    (
                        rate("noctis_ingest_time_requests_total", legend="told"),
                        rate("noctis_ingest_time_rejected_total", "reason", rare=True),
                    ),
                    unit="cps",
                ),
            ),
        ),
    ),
)
