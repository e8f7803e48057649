"""A report as a page, in Chromium: axe finds no fault, and nothing is asked for or refused."""

from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from cli.report.render import night_report, week_report
from tests import npm_packages
from tests.reported import night, week

AXE: Final = Path(__file__).parents[2] / "axe"
SIZES: Final[Any] = ({"width": 1180, "height": 900}, {"width": 360, "height": 740})
RULES: Final = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))]);
}"""


@pytest.mark.parametrize("which", ["night", "week"])
@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=["wide", "phone"])
def test_a_report_is_for_everybody_and_asks_nobody_for_anything(
    browser: Browser,
    tmp_path: Path,
    which: str,
    look: Any,  # noqa: ANN401 - Playwright's
    size: Any,  # noqa: ANN401 - Playwright's
) -> None:
    file = tmp_path / f"{which}.html"
    made = (
        night_report(night(), "html") if which == "night" else week_report(week(0, 5), "html")
    )
    file.write_bytes(made)
    axe = npm_packages.installed(AXE) / "node_modules" / "axe-core" / "axe.min.js"
    context = browser.new_context(viewport=size, color_scheme=look)
    try:
        page = context.new_page()
        told: list[str] = []
        page.on("console", lambda it: told.append(it.text))
        page.on("request", lambda it: told.append(it.url))
        page.goto(file.as_uri())
        assert told == [file.as_uri()]
        assert page.locator("svg:visible[role=img]").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]
        if which == "night":
            page.get_by_text("The night as a table").click()
        page.evaluate(axe.read_text())
        assert page.evaluate(RULES) == []
    finally:
        context.close()
