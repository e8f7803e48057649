"""What apps ask over REST, how long it takes, and what fails."""

from typing import Final

from scripts.dashboards.parts import RATE, Dashboard, Panel, Query, Row, rate

__all__ = ["FACADE"]

_REQUESTS: Final = "noctis_api_request_seconds"
FACADE: Final = Dashboard(
    "noctis-facade",
    "Noctis: the facade",
    "What apps ask over REST, how long it takes, and what fails.",
    (
        Row(
            "Requests",
            (
                Panel(
                    "By status",
                    "5xx is our fault or the database's; many 401 are somebody guessing.",
                    (rate("noctis_api_requests_total", "status"),),
                    unit="reqps",
                ),
                Panel(
                    "By route",
                    "The ten busiest.",
                    (
                        Query(
                            "topk(10, sum by (method, route) "
                            f"(rate(noctis_api_requests_total[{RATE}])))",
                            "{{method}} {{route}}",
                        ),
                    ),
                    unit="reqps",
                ),
                Panel(
                    "Failing",
                    "Routes that answer 5xx.",
                    (
                        Query(
                            "sum by (route, status) "
                            f'(rate(noctis_api_requests_total{{status=~"5.."}}[{RATE}]))',
                            "{{route}} {{status}}",
                            rare=True,
                        ),
                    ),
                    unit="reqps",
                    bad_from=0.01,
                ),
            ),
        ),
        Row(
            "How long",
            (
                Panel(
                    "All",
                    "Without streams, which end when their reader goes.",
                    tuple(
                        Query(
                            f"histogram_quantile({share}, sum by (le) "
                            f'(rate({_REQUESTS}_bucket{{route!~".*:stream"}}[{RATE}])))',
                            f"p{100 * share:g}",
                        )
                        for share in (0.5, 0.95, 0.99)
                    ),
                    unit="s",
                ),
                Panel(
                    "The ten slowest routes",
                    "95 of 100 requests are faster.",
                    (
                        Query(
                            "topk(10, histogram_quantile(0.95, sum by (le, method, route) "
                            f"(rate({_REQUESTS}_bucket[{RATE}]))))",
                            "{{method}} {{route}}",
                        ),
                    ),
                    unit="s",
                ),
            ),
        ),
        Row(
            "What it rests on",
            (
                Panel(
                    "Answers of database, broker and model",
                    "1: the last probe of /readyz was answered.",
                    (Query("min by (check) (noctis_api_check_ok)", "{{check}}"),),
                ),
                Panel(
                    "Streams of stages",
                    "Open ones, and those cut off as their reader was too slow.",
                    (
                        Query("sum(noctis_api_streams)", "open"),
                        rate("noctis_api_streams_dropped_total", legend="cut off"),
                    ),
                ),
                Panel(
                    "Epochs over HTTP",
                    "By what became of them.",
                    (rate("noctis_api_epochs_total", "status", rare=True),),
                    unit="cps",
                ),
            ),
        ),
    ),
)
