"""What the page may load and run: its own, and nothing else."""

from typing import Final

import httpx
import pytest
from playwright.sync_api import Route, expect

from tests.acceptance.page.conftest import ANN, Opener
from tests.acceptance.page.visits import Visit
from tests.household import Household

pytestmark = [pytest.mark.broker, pytest.mark.postgres]
EVIL: Final = "<script>window.wasRun = true</script><img src=x onerror='window.wasRun = true'>"
HEARD: Final = """
window.violations = [];
addEventListener("securitypolicyviolation", (it) => violations.push(it.effectiveDirective));
"""


def test_every_view_asks_this_server_alone(visit: Opener) -> None:
    tab = visit().enter(ANN)
    for place in ("Nights", "Compare", "Devices", "Drift", "Models", "Tonight"):
        tab.go(place, place)
    with tab.page.expect_response("**/v1/openapi.json"):
        tab.page.goto("/docs")
    assert len(tab.requests) > 20
    assert not tab.context.cookies()


def test_every_answer_of_the_page_binds_the_browser_to_it(visit: Opener) -> None:
    tab = visit().open()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    documents = [it for it in tab.responses if "/v1/" not in it.url]
    assert len(documents) > 10
    for response in documents:
        told = response.headers
        assert told["referrer-policy"] == "no-referrer"
        assert told["cross-origin-resource-policy"] == "same-origin"
        assert told["x-frame-options"] == "DENY"
    policy = {
        name: values
        for name, *values in map(
            str.split, documents[0].headers["content-security-policy"].split(";")
        )
    }
    assert policy["default-src"] == ["'none'"]
    for kind in ("script-src", "style-src", "connect-src"):
        assert policy[kind] == ["'self'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]


def test_a_script_that_somebody_put_into_the_page_does_not_run(visit: Opener) -> None:
    tab = visit(calm=False)
    tab.context.add_init_script(HEARD)

    def injected(route: Route) -> None:
        answer = route.fetch()
        body = answer.text().replace("</main>", f"</main>{EVIL}")
        route.fulfill(response=answer, body=body)

    tab.page.route(f"{tab.address}/", injected)
    tab.open()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    assert tab.page.locator("img[src=x]").count() == 1
    assert tab.page.evaluate("window.wasRun") is None
    heard = set(tab.page.evaluate("violations"))
    assert {"script-src-elem", "script-src-attr"} <= heard


def test_text_cannot_become_a_script_nor_leave_for_elsewhere(
    visit: Opener, house: Household
) -> None:
    tab = visit(calm=False).open()
    expect(tab.page.get_by_label("Password")).to_be_visible()
    for act in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.createElement('script').text = '1'",
    ):
        assert "TypeError" in told_by(tab, act)
    assert "TypeError" in told_by(tab, "await fetch('http://127.0.0.1:9/')")
    elsewhere = f"{house.address}/v1/openapi.json"
    assert told_by(tab, f"await fetch('{elsewhere}')") == "done"
    tab.requests[:] = [it for it in tab.requests if ":9/" not in it.url]


def told_by(tab: Visit, act: str) -> str:
    """Return the name of the error that an act of a script ends in."""
    told: str = tab.page.evaluate(
        f"(async () => {{ try {{ {act}; return 'done' }} catch (error) "
        "{ return error.name + error.message } })()"
    )
    return told


def test_an_unknown_part_of_the_page_is_told_as_missing(house: Household) -> None:
    answer = httpx.get(f"{house.address}/page/0000000000000000/js/main.js", timeout=15)
    assert answer.status_code == 404
