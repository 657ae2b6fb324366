"""The organisation desk: as a person uses it."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.portal.places import organised
from tests.support.browsing import Language, Theme, visitor
from tests.support.house import House, soon


def test_the_tree_is_opened_by_keyboard_searched_and_followed_to_a_later_day(
    house: House, browser: Browser, url: str
) -> None:
    organised(house)
    with visitor(browser, url) as someone:
        someone.sign_in("alvsund", "it_read")
        page = someone.page
        someone.goto("/organisation")
        tree = page.get_by_role("navigation", name="The tree")
        area = tree.get_by_role("link", name="Rektorsområde 1", exact=True)
        expect(area).to_be_hidden()
        tree.locator("summary", has_text="Skolförvaltningen").focus()
        page.keyboard.press("Enter")
        expect(area).to_be_visible()
        expect(tree.get_by_role("listitem").filter(has_text="Älvsunds kommun").first).to_contain_text("Ulla Ström")
        tree.get_by_role("link", name="1 unit below Rektorsområde 1").click()
        expect(page.get_by_role("link", name="Björkskolan")).to_be_visible()
        # who is in a unit, and what becomes of it
        someone.goto("/organisation")
        page.get_by_role("searchbox", name="Unit").fill("björk")
        page.keyboard.press("Enter")
        expect(page.get_by_role("row", name="Björkskolan")).to_contain_text("Skolförvaltningen / Rektorsområde 1")
        someone.goto(f"/organisation?on={soon(30)}&q=björk")
        expect(page.get_by_role("row", name="Björkskolan")).to_contain_text("Vård & omsorg / Rektorsområde ett")
        someone.goto("/organisation/changes")
        move = page.get_by_role("row", name="Rektorsområde ett")
        expect(move).to_contain_text("Skolförvaltningen → Vård & omsorg")
        expect(page.get_by_role("row", name="Rektorsområde 3")).to_contain_text("→ o-12")
        someone.goto("/organisation/units/u-1")
        page.get_by_role("link", name="Sofia Jönsson").click()
        expect(page.get_by_role("heading", name="Sofia Jönsson")).to_be_visible()
        expect(page.get_by_text("Göta")).to_have_count(0)


def test_a_manager_sees_the_organisation_but_not_who_is_in_it(house: House, browser: Browser, url: str) -> None:
    organised(house)
    with visitor(browser, url) as someone:
        someone.sign_in("alvsund", "manager")
        someone.goto("/organisation/units/u-1")
        expect(someone.page.get_by_text("Who they are is shown to those who may read people.")).to_be_visible()
        expect(someone.page.get_by_role("link", name="Sofia Jönsson")).to_have_count(0)


PLAN = f"""unit;effectiveFrom;name;parent;validFrom
o-11;{soon(40)};;o-1;
o-12;{soon(10)};Område <2>;o-2;
o-9;;Ny enhet;o-0;{soon(10)}
"""


@pytest.mark.parametrize(("language", "theme"), [("sv", "light"), ("en", "dark")])
def test_a_plan_is_pasted_looked_at_and_taken_along(
    language: Language, theme: Theme, house: House, browser: Browser, url: str, pictures: Path | None
) -> None:
    organised(house)
    with visitor(browser, url, language=language, theme=theme) as someone:
        someone.sign_in("alvsund", "it_read")
        page = someone.goto("/organisation/plan")
        page.locator("#plan-text").focus()
        page.keyboard.insert_text(PLAN)
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("svg.drawn").last).to_be_visible()
        table = page.get_by_role("row", name="Område <2>").first
        expect(table).to_contain_text("o-1" if language == "sv" else "Moves")
        page.locator("summary").first.click()
        assert someone.axe() == []
        if pictures:
            page.screenshot(path=pictures / f"{language}-{theme}-organisation-plan-shown.png", full_page=True)
        with page.expect_download() as taken:
            page.locator("form[action='/organisation/plan/table'] button").last.click()
        assert "o-12" in taken.value.path().read_text(encoding="utf-8-sig")
        with page.expect_download() as drawn:
            page.locator("details.after button").first.click()
        assert "Område &lt;2&gt;" in drawn.value.path().read_text(encoding="utf-8")
        page = someone.goto("/organisation/plan")
        page.locator("#plan-text").fill("unit;parent\no-1;o-111\n")
        page.locator("button.primary").last.click()
        expect(page.locator("main")).to_contain_text("ovanför varandra" if language == "sv" else "above each other")
        assert someone.axe() == []
        for path in ("/organisation", "/organisation/print", "/organisation/plan"):
            someone.goto(path)
            assert someone.axe() == [], path
            if pictures:
                name = path.replace("/", "-").strip("-")
                page.screenshot(path=pictures / f"{language}-{theme}-{name}.png", full_page=True)
        assert someone.faults == []
