"""Pictures of every page, both languages, light and dark: `make screenshots`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from deploy.local.settings import ROOT
from tests.e2e.portal.places import changed_table, places, put_in_force
from tests.support.browsing import Language, Theme, Visitor, visitor
from tests.support.house import House

PAUSED = {"operations-paused": "/operations"}


@contextmanager
def waiting_and_paused(house: House) -> Iterator[None]:
    """A table waits, and a target is paused."""
    delivered = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    pause = "/v1/operations/targets/openldap/"
    put_in_force(house, changed_table(), "Längre eftertid, på prov")
    house.request("POST", "accounts", pause + "pause", {"reason": "Katalogen flyttas till ny maskin"})
    try:
        yield
    finally:
        house.request("POST", "accounts", pause + "resume", {"reason": "Flytten är klar"})
        put_in_force(house, delivered, "Provet är slut")


def picture(someone: Visitor, path: str, file: Path) -> None:
    """Take a picture of a page when its letters and its first figures have come."""
    someone.goto(path)
    someone.page.wait_for_load_state("load")
    someone.page.evaluate("document.fonts.ready")
    if "data-live" in someone.page.content():
        expect(someone.page.locator("html[data-following]")).to_have_count(1)
    someone.page.screenshot(path=file, full_page=True)


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
        found = places(house)
        with waiting_and_paused(house):
            for name, path in {"policy-waits": "/policy", "policy-plan-waits": "/policy/plan", **PAUSED}.items():
                picture(someone, path, pictures / f"{language}-{theme}-{name}.png")
        for name, path in found.items():
            picture(someone, path, pictures / f"{language}-{theme}-{name}.png")
    with visitor(browser, url, language=language, theme=theme) as someone:
        someone.sign_in("bergby", "hr", "operations")
        picture(someone, "/files", pictures / f"{language}-{theme}-files-empty.png")
        for name, path in {"units-staged": "/targets/openldap/live", "drift-staged": "/targets/openldap"}.items():
            picture(someone, path, pictures / f"{language}-{theme}-{name}.png")
        someone.goto("/targets/openldap/live").locator("input[type=checkbox]").first.check()
        someone.page.locator("button.primary").click()
        expect(someone.page.locator("dialog[open]")).to_be_visible()
        someone.page.screenshot(path=pictures / f"{language}-{theme}-units-ask.png")
        picture(someone, "/identity", pictures / f"{language}-{theme}-identity-empty.png")
    assert len(list(pictures.glob(f"{language}-{theme}-*.png"))) > len(places(house))
