"""A client of Noctis for Python: nights as numpy and pandas, live stages, sync and async.

It speaks the public REST facade alone, and knows no database and no broker.
"""

from noctis.client.alerts import Alert
from noctis.client.asynchronous import AsyncNoctis
from noctis.client.devices import Device
from noctis.client.errors import (
    ClientError,
    ForbiddenError,
    InvalidError,
    InvalidField,
    NotFoundError,
    ProblemError,
    RateLimitedError,
    SignInError,
    UnavailableError,
)
from noctis.client.live import LiveStage
from noctis.client.nights import Night, StagedNight, nights_frame
from noctis.client.synchronous import Noctis
from noctis.client.trends import Spread, Trends, Week

__all__ = [
    "Alert",
    "AsyncNoctis",
    "ClientError",
    "Device",
    "ForbiddenError",
    "InvalidError",
    "InvalidField",
    "LiveStage",
    "Night",
    "Noctis",
    "NotFoundError",
    "ProblemError",
    "RateLimitedError",
    "SignInError",
    "Spread",
    "StagedNight",
    "Trends",
    "UnavailableError",
    "Week",
    "nights_frame",
]
