"""A manager at home: signed in as one of the people, who sees the own unit and nobody else."""

import re

from playwright.sync_api import Browser, expect

from tests.e2e.portal.places import person_of
from tests.support import hr
from tests.support.browsing import visitor
from tests.support.house import House, soon
from tests.support.town import hired

BOSS, STAFF, OTHER = "1007", "4001", "1008"


def test_a_manager_finds_the_own_people_and_nobody_else(house: House, browser: Browser, url: str) -> None:
    own = hr.unit("u-own", name="Egna enheten")
    own["data"]["manager"] = BOSS
    one = hired(STAFF, ("Egil", "Egensson"))
    one["data"]["employments"][0]["assignments"] = [hr.assignment("u-own", soon(-100))]
    house.post([own, one])
    house.settled()
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "manager", number=BOSS)
        expect(page.locator(".who-name")).to_have_text("Ulla Ström")
        expect(page.locator("#main")).to_contain_text("You see the people in your own units")
        expect(page.locator("#today")).to_contain_text("Egil Egensson")
        expect(page.locator("nav li")).to_have_text(
            [re.compile(one) for one in ("Start", "Cases", "People", "Organisation", "Needs")]
        )
        assert someone.axe() == []
        someone.goto("/people")
        expect(page.locator("#found tbody tr")).to_have_count(1)
        assert someone.axe() == []
        page.get_by_role("link", name="Egil Egensson").click()
        expect(page.locator("#targets")).to_contain_text("egil.egensson")
        assert someone.axe() == []
        answer = page.goto(f"{url}/people/{person_of(house, OTHER)}")
        assert answer is not None
        assert answer.status == 404
        assert [fault for fault in someone.faults if "404" not in fault] == []


def test_a_manager_whom_nobody_knows_is_told_what_to_do(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url, language="sv") as someone:
        page = someone.sign_in("alvsund", "manager", number="nobody")
        expect(page.locator(".notice")).to_contain_text("din inloggning säger inte vilken person du är")
        assert someone.axe() == []
