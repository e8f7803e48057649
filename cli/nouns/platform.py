"""The platform that a command asks: this machine's own, or one behind a facade."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cli import profiles
from cli.facade import Facade
from cli.live import LiveStages
from cli.local import engine_of
from cli.nouns.alerts import Alerts, AskedAlerts, StoredAlerts
from cli.nouns.apps import Apps, AskedApps, StoredApps
from cli.nouns.care import AskedCare, Care, StoredCare
from cli.nouns.devices import AskedDevices, Devices, StoredDevices
from cli.nouns.labels import AskedLabels, Labels, StoredLabels
from cli.nouns.nights import AskedNights, Nights, StoredNights
from cli.nouns.operations import AskedOperations, Operations, StoredOperations
from cli.nouns.standing import AskedStanding, Standing, StoredStanding
from cli.nouns.users import AskedUsers, StoredUsers, Users
from cli.own import OwnFacade
from noctis.identity import DeviceId
from noctis.storage.engine import Connection, transaction

__all__ = ["Platform", "platform"]

SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Platform:
    """Everything that can be asked, noun by noun; ``live`` hears a device's stages."""

    devices: Devices
    nights: Nights
    users: Users
    apps: Apps
    operations: Operations
    standing: Standing
    care: Care
    labels: Labels
    alerts: Alerts
    live: Callable[[DeviceId], LiveStages]


@contextmanager
def platform(profile: str | None, var: Path) -> Iterator[Platform]:
    """Yield the platform of a profile; without one that of ``var``, or of the settings."""
    known = profiles.chosen(profile)
    if known is not None:
        with Facade(known) as facade:
            yield Platform(
                AskedDevices(facade),
                AskedNights(facade),
                AskedUsers(facade),
                AskedApps(facade),
                AskedOperations(facade),
                AskedStanding(facade),
                AskedCare(facade),
                AskedLabels(facade),
                AskedAlerts(facade),
                lambda who: LiveStages(facade, who),
            )
        return
    with engine_of(var) as engine:

        def opened() -> AbstractContextManager[Connection]:
            return transaction(engine, seconds=SECONDS)

        yield Platform(
            StoredDevices(opened),
            StoredNights(opened),
            StoredUsers(opened),
            StoredApps(opened),
            StoredOperations(opened),
            StoredStanding(opened, var),
            StoredCare(opened),
            StoredLabels(opened),
            StoredAlerts(opened),
            lambda who: LiveStages(OwnFacade.of(var, who.tenant), who),
        )
