"""Pictures of every page, both languages, light and dark: `make screenshots`."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.portal.places import places
from tests.support.browsing import Language, Theme, visitor
from tests.support.house import House


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_every_page_has_a_picture(
    language: Language, theme: Theme, house: House, browser: Browser, url: str, pictures: Path | None
) -> None:
    if pictures is None:
        pytest.skip("pictures are taken by: make screenshots")
    with visitor(browser, url, language=language, theme=theme) as someone:
        someone.goto("/").screenshot(path=pictures / f"{language}-{theme}-sign-in.png")
        someone.sign_in("alvsund", "operations", "hr", "auditor")
        for name, path in places(house).items():
            someone.goto(path)
            someone.page.wait_for_load_state("networkidle")
            someone.page.evaluate("document.fonts.ready")
            someone.page.screenshot(path=pictures / f"{language}-{theme}-{name}.png", full_page=True)
    assert len(list(pictures.glob(f"{language}-{theme}-*.png"))) > len(places(house))
