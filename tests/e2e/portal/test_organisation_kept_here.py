"""The organisation desk where units are kept here: a plan is applied, and units are recorded, by keyboard."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browsing import Language, Theme, Visitor, visitor
from tests.support.house import House, running_house, soon, wait_until
from tests.support.town import hired

PLAN = """unit;name;parent;validFrom
b-0;Bergby <kommun>;;2020-01-01
b-1;Skolan;b-0;2020-01-01
b-2;Omsorgen;b-0;2020-01-01
b-11;Björkskolan;b-1;2020-01-01
"""
PERSONNEL = "https://hr.bergby.example/personal"
REASON = "Beslut i nämnden"


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(portal=True, kept_here=True) as house:
        house.post([{**hired("3001", ("Maj", "Wik")), "source": PERSONNEL}], organisation="bergby")
        yield house


@pytest.fixture(scope="module")
def url(house: House) -> str:
    return house.installation.services["portal"].url


def asked(house: House, on: str = "") -> Any:
    day = f"&on={on}" if on else ""
    status, found = house.request("GET", "orgtree", f"/v1/organisation/tree?depth=50{day}", organisation="bergby")
    assert status == 200, found
    return found


def tree(house: House, on: str = "") -> dict[str, dict[str, Any]]:
    return {one["unit"]: one for one in asked(house, on)["units"]}


def ahead(house: House, days: int) -> str:
    """Return a day by the business date of the house."""
    return soon(days, base=asked(house)["on"])


def pasted(someone: Visitor, text: str) -> Page:
    page = someone.goto("/organisation/plan")
    page.locator("#plan-text").fill(text)
    page.locator("main button.primary").click()
    return page


def applied(page: Page) -> None:
    page.locator("#reason").fill(REASON)
    page.keyboard.press("Enter")
    page.wait_for_url("**/organisation/changes")
    expect(page.locator(".toast")).to_be_visible()


def test_a_whole_plan_is_applied_and_a_unit_renamed_and_led(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        someone.sign_in("bergby", "hr")
        page = pasted(someone, PLAN.replace("b-2;Omsorgen", "b-2;"))
        expect(page.locator("main")).to_contain_text("The unit has no name")
        assert tree(house) == {}
        page = pasted(someone, PLAN)
        page.get_by_role("button", name="Apply…").click()
        expect(page.locator("main")).to_contain_text("4 new")
        assert someone.axe() == []
        applied(page)
        wait_until(lambda: set(tree(house)) == {"b-0", "b-1", "b-2", "b-11"}, seconds=30)
        someone.goto("/organisation/units/b-1")
        page.get_by_role("link", name="Rename…").click()
        page.get_by_label("Name", exact=True).fill("Skolförvaltningen")
        page.get_by_label("From").fill(ahead(house, 20))
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Record this of b-1?")).to_be_visible()
        applied(page)
        wait_until(lambda: tree(house, ahead(house, 20))["b-1"]["name"] == "Skolförvaltningen", seconds=30)
        assert tree(house)["b-1"]["name"] == "Skolan"
        someone.goto("/organisation/units/b-1")
        page.get_by_role("link", name="Manager…", exact=True).click()
        page.locator("#who").fill("wik")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Maj Wik").click()
        expect(page.locator("main")).to_contain_text("Maj Wik")
        page.get_by_label("From").fill(ahead(house, 0))
        assert someone.axe() == []
        page.keyboard.press("Enter")
        applied(page)
        wait_until(lambda: [one["name"] for one in tree(house)["b-1"]["leaders"]] == ["Maj Wik"], seconds=30)
        # a unit that would stand below itself is refused, at its field
        someone.goto("/organisation/record?what=move&unit=b-1")
        page.get_by_label("Below").fill("b-11")
        page.get_by_label("From").fill(ahead(house, 5))
        page.locator("main button.primary").click()
        expect(page.locator("#parent-wrong")).to_be_visible()
        assert someone.axe() == []
        assert [fault for fault in someone.faults if "422" not in fault] == []


@pytest.mark.parametrize(("language", "theme"), [("sv", "light"), ("en", "dark")])
def test_the_forms_are_accessible_in_both_languages(
    language: Language, theme: Theme, house: House, browser: Browser, url: str, pictures: Path | None
) -> None:
    with visitor(browser, url, language=language, theme=theme) as someone:
        someone.sign_in("bergby", "hr")
        if "b-0" not in tree(house):
            pasted(someone, PLAN).locator("button[formaction$=confirm]").click()
            applied(someone.page)
            wait_until(lambda: "b-0" in tree(house), seconds=30)
        pages = {what: f"/organisation/record?what={what}&unit=b-11" for what in ("create", "move", "acting", "close")}
        for name, path in {**pages, "unit": "/organisation/units/b-11", "desk": "/organisation"}.items():
            page = someone.goto(path)
            assert someone.axe() == [], name
            if pictures:
                page.screenshot(path=pictures / f"{language}-{theme}-kept-here-{name}.png", full_page=True)
        page = pasted(someone, f"unit;parent;effectiveFrom\nb-11;b-2;{ahead(house, 30)}\n")
        assert someone.axe() == []
        page.locator("button[formaction$=confirm]").click()
        expect(page.locator("#reason")).to_be_visible()
        assert someone.axe() == []
        if pictures:
            page.screenshot(path=pictures / f"{language}-{theme}-kept-here-confirm.png", full_page=True)
        assert someone.faults == []
