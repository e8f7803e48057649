"""Signing in and out on the page, and what a session outlives."""

from typing import Final

import httpx
import pytest
from playwright.sync_api import expect

from noctis.storage import users
from noctis.storage.engine import transaction
from tests.acceptance.page.conftest import ANN, BED, BOB, Opener
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
LATER: Final = """
const real = Date.now;
let ahead = 0;
Date.now = () => real() + ahead;
window.later = (minutes) => { ahead += minutes * 60000; };
"""


def test_the_right_password_opens_the_page_and_a_reload_keeps_it_open(visit: Opener) -> None:
    tab = visit().enter(ANN)
    expect(tab.page.get_by_role("link", name=f"Account of {ANN}")).to_be_visible()
    tab.page.reload()
    tab.shows("Tonight")


def test_a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words(
    visit: Opener,
) -> None:
    tab = visit(refused=(400,)).open()
    told = []
    for login, password in ((ANN, "nothing that she ever said"), ("zoe@nowhere", "what?")):
        with tab.page.expect_response("**/v1/auth/token"):
            tab.sign_in(login, password)
        alert = tab.page.get_by_role("alert")
        expect(alert).to_have_text("That name and password do not belong together.")
        told.append(alert.inner_text())
        expect(tab.page.get_by_role("button", name="Sign in")).to_be_enabled()
    assert told[0] == told[1]
    assert not tab.asked("/v1/devices")
    assert "noctis.session" not in tab.kept()


def test_a_token_that_runs_out_is_renewed_without_a_word(visit: Opener) -> None:
    tab = visit()
    tab.context.add_init_script(LATER)
    tab.enter(ANN)
    before = len(tab.asked("/v1/auth/token"))
    tab.page.evaluate("later(14.5)")
    tab.go("Nights", "Nights")
    expect(tab.page.get_by_role("listitem").filter(has_text="%")).to_have_count(2)
    [renewal] = tab.asked("/v1/auth/token")[before:]
    assert "grant_type=refresh_token" in (renewal.post_data or "")


def test_a_session_that_was_ended_elsewhere_leads_back_to_the_door(
    visit: Opener, house: Household
) -> None:
    house.settle("eve@inn", "attic")
    tab = visit(refused=(400, 401))
    tab.context.add_init_script(LATER)
    tab.enter("eve@inn")
    with transaction(house.platform.engine) as connection:
        users.remove("inn", connection, "eve", spare_last_admin=False)
    tab.page.evaluate("later(20)")
    tab.page.get_by_role("link", name="Devices").click()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    assert "noctis.session" not in tab.kept()
    expect(tab.main).not_to_contain_text("attic")


def test_signing_out_forgets_everything_here_and_at_the_server(visit: Opener) -> None:
    tab = visit().enter(ANN, "#/nights", "Nights")
    refresh = tab.page.evaluate("JSON.parse(sessionStorage['noctis.session']).refresh")
    tab.page.get_by_role("link", name="Account").click()
    with tab.page.expect_event("load"):
        tab.page.get_by_role("button", name="Sign out").click()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    assert refresh not in tab.kept()
    assert ANN not in tab.kept()
    form = {"grant_type": "refresh_token", "refresh_token": refresh}
    answer = httpx.post(f"{tab.address}/v1/auth/token", data=form, timeout=15)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    tab.page.go_back()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    expect(tab.page.get_by_role("listitem").filter(has_text="%")).to_have_count(0)


def test_a_tenant_sees_nothing_of_another_one(visit: Opener, house: Household) -> None:
    [_, foreign] = house.nights(BED)
    tab = visit(refused=(404,)).enter(BOB)
    for place in ("Tonight", "Nights", "Devices"):
        tab.go(place, place)
        expect(tab.main).not_to_contain_text("bedroom")
    tab.open(f"#/night/{foreign.id}")
    expect(tab.page.get_by_role("alert")).to_be_visible()
    told = [it.text() for it in tab.responses if "/v1/" in it.url and it.ok and _is_json(it)]
    assert told
    assert not any("bedroom" in text or str(foreign.id) in text for text in told)
    assert any("room-1" in text for text in told)


def _is_json(response: object) -> bool:
    return "json" in getattr(response, "headers", {}).get("content-type", "")
