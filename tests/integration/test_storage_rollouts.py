from uuid import UUID

import pytest
from sqlalchemy import Connection, text

from noctis.errors import StorageError
from noctis.firmware import Image, Manifest
from noctis.identity import DeviceId
from noctis.status import UpdateReport
from noctis.storage import devices, firmware, rollout_turns, rollouts, tenants
from noctis.storage.errors import NotFoundError
from noctis.storage.rollouts import Plan

pytestmark = pytest.mark.postgres

IMAGE = Image("host", "0.2.0", 2, 1000, "ab" * 32)
HOMES = ("inn", "home")
ALL = [DeviceId(tenant, f"bed-{n}") for tenant in HOMES for n in range(3)]
FIRST, SECOND, *_ = ALL


@pytest.fixture(autouse=True)
def people(connection: Connection) -> None:
    for tenant in HOMES:
        tenants.add(connection, tenant)
    for device in ALL:
        devices.add(device.tenant, connection, device.device)
    firmware.add(connection, IMAGE)
    firmware.sign(connection, Manifest(IMAGE, 1_900_000_000), "0123456789abcdef", "5a" * 64)


def begin(
    connection: Connection, *meant: DeviceId, wave: int = 2, most_failures: float = 0.1
) -> int:
    plan = Plan("http://noctis.example/image", wave, most_failures, patience_s=600)
    image = firmware.find(connection, "0.2.0")
    return rollouts.begin(connection, image, plan, meant or ALL)


def rollout_id(connection: Connection, number: int) -> UUID:
    [found] = rollouts.list_all(connection, number)
    return found.id


def say(connection: Connection, device: DeviceId, number: int, state: str) -> bool:
    said = {"rollout": rollout_id(connection, number), "state": state, "version": "0.2.0"}
    report = UpdateReport.model_validate(said | {"build": 2})
    return rollout_turns.report(device.tenant, connection, device.device, report)


def states(connection: Connection, number: int) -> list[str]:
    return [it.state for it in rollouts.devices_of(connection, number)]


def tell(connection: Connection) -> dict[DeviceId, bool]:
    """Give the broker what it is owed; return which devices were made an offer."""
    words = rollout_turns.owed(connection, set())
    rollout_turns.told(connection, words)
    return {word.device: word.rollout is not None for word in words}


def test_a_wave_is_offered_once_the_one_before_has_ended(connection: Connection) -> None:
    number = begin(connection)
    rollout_turns.advance(connection)
    assert states(connection, number) == ["offered"] * 2 + ["waiting"] * 4
    assert tell(connection) == {FIRST: True, SECOND: True}
    assert tell(connection) == {}
    say(connection, FIRST, number, "valid")
    rollout_turns.advance(connection)
    assert states(connection, number)[2:] == ["waiting"] * 4
    assert tell(connection) == {FIRST: False}
    say(connection, SECOND, number, "valid")
    rollout_turns.advance(connection)
    assert states(connection, number)[2:] == ["offered"] * 2 + ["waiting"] * 2
    for device in ALL[2:]:
        say(connection, device, number, "valid")
        rollout_turns.advance(connection)
    for device in ALL[4:]:
        say(connection, device, number, "valid")
    rollout_turns.advance(connection)
    [found] = rollouts.list_all(connection, number)
    assert (found.state, found.devices) == ("done", {"valid": 6})


def test_failures_beyond_the_bound_stop_a_rollout_and_withdraw_it(
    connection: Connection,
) -> None:
    number = begin(connection)
    rollout_turns.advance(connection)
    tell(connection)
    say(connection, FIRST, number, "rolled_back")
    rollout_turns.advance(connection)
    [found] = rollouts.list_all(connection, number)
    assert (found.state, found.reason) == ("stopped", "1 of 1 devices failed")
    assert states(connection, number) == ["rolled_back"] + ["withdrawn"] * 5
    assert tell(connection) == {FIRST: False, SECOND: False}
    rollout_turns.advance(connection)
    assert tell(connection) == {}
    # Who had installed it by then tells how it ended.
    assert say(connection, SECOND, number, "valid")
    assert states(connection, number)[1] == "valid"


def test_a_share_of_failures_below_the_bound_lets_it_go_on(connection: Connection) -> None:
    number = begin(connection, wave=4, most_failures=0.3)
    rollout_turns.advance(connection)
    say(connection, FIRST, number, "refused")
    rollout_turns.advance(connection)
    assert rollouts.list_all(connection, number)[0].state == "running"
    say(connection, SECOND, number, "refused")
    rollout_turns.advance(connection)
    assert rollouts.list_all(connection, number)[0].state == "stopped"


def test_a_device_that_installed_and_went_silent_has_failed(connection: Connection) -> None:
    number = begin(connection, FIRST, SECOND, ALL[2], most_failures=1)
    rollout_turns.advance(connection)
    say(connection, FIRST, number, "installed")
    connection.execute(
        text("UPDATE rollout_devices SET reported_at = reported_at - interval '1 hour'")
    )
    rollout_turns.advance(connection)
    assert states(connection, number)[0] == "silent"
    assert not say(connection, FIRST, number, "pending")
    assert say(connection, FIRST, number, "valid")
    assert states(connection, number)[0] == "valid"


def test_a_device_that_is_away_holds_nobody_up_for_long(connection: Connection) -> None:
    number = begin(connection, wave=1)
    rollout_turns.advance(connection)
    rollout_turns.advance(connection)
    assert states(connection, number)[1] == "waiting"
    connection.execute(
        text("UPDATE rollout_devices SET offered_at = offered_at - interval '1 hour'")
    )
    rollout_turns.advance(connection)
    assert states(connection, number)[:3] == ["offered", "offered", "waiting"]
    assert say(connection, FIRST, number, "downloading")


def test_an_offer_is_repeated_to_who_comes_and_to_who_says_nothing(
    connection: Connection,
) -> None:
    begin(connection)
    rollout_turns.advance(connection)
    tell(connection)
    assert [it.device for it in rollout_turns.owed(connection, {FIRST, ALL[5]})] == [FIRST]
    connection.execute(text("UPDATE rollout_devices SET told_at = now() - interval '2 min'"))
    assert tell(connection) == {FIRST: True, SECOND: True}
    assert tell(connection) == {}


def test_a_pause_begins_with_nobody_and_an_abort_withdraws(connection: Connection) -> None:
    number = begin(connection)
    rollouts.set_state(connection, number, "paused")
    rollout_turns.advance(connection)
    assert set(states(connection, number)) == {"waiting"}
    rollouts.set_state(connection, number, "running")
    rollout_turns.advance(connection)
    rollouts.set_state(connection, number, "aborted")
    assert set(states(connection, number)) == {"withdrawn"}
    assert tell(connection) == {FIRST: False, SECOND: False}
    with pytest.raises(NotFoundError):
        rollouts.set_state(connection, number, "running")


def test_a_report_that_fits_no_offer_changes_nothing(connection: Connection) -> None:
    number = begin(connection, FIRST)
    assert not say(connection, FIRST, number, "valid")  # not offered yet
    rollout_turns.advance(connection)
    assert not say(connection, SECOND, number, "valid")
    assert say(connection, FIRST, number, "refused")
    assert not say(connection, FIRST, number, "valid")  # it has ended


def test_a_device_is_in_one_rollout_at_a_time(connection: Connection) -> None:
    begin(connection, FIRST)
    with pytest.raises(StorageError, match="inn/bed-0"):
        begin(connection)
    with pytest.raises(StorageError, match="no device"):
        begin(connection, DeviceId("inn", "attic"))


def test_an_image_goes_out_signed_alone(connection: Connection) -> None:
    bare = Image("host", "0.3.0", 3, 1000, "cd" * 32)
    firmware.add(connection, bare)
    with pytest.raises(StorageError, match="not signed"):
        rollouts.begin(connection, firmware.find(connection, "cd"), Plan("http://x"), ALL)


def test_a_share_of_a_tenants_devices_is_chosen_in_an_order_of_the_image(
    connection: Connection,
) -> None:
    half = rollouts.chosen("home", connection, percent=50, salt="a")
    assert len(half) == 2
    assert {it.tenant for it in half} == {"home"}
    assert rollouts.chosen("home", connection, salt="a")[:2] == half
    orders = {tuple(rollouts.chosen("", connection, salt=str(n))) for n in range(5)}
    assert len(orders) > 1
    assert all(set(order) == set(ALL) for order in orders)


def test_a_tenant_sees_how_far_its_own_device_is(connection: Connection) -> None:
    number = begin(connection, FIRST)
    assert rollouts.last_of("inn", connection, "bed-0") is None
    rollout_turns.advance(connection)
    say(connection, FIRST, number, "pending")
    found = rollouts.last_of("inn", connection, "bed-0")
    assert found is not None
    assert (found.state, found.running) == ("pending", "0.2.0")
    assert rollouts.last_of("home", connection, "bed-0") is None
