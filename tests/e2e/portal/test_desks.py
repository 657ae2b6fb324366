"""Desks that change things: a new policy is planned and put in force, a message nobody could read is taken in again."""

import json
import re
from typing import Any

from playwright.sync_api import Browser, expect

from tests.e2e.portal.places import (
    ENGINEER,
    birthright,
    changed_table,
    drifting,
    engineer,
    entitlements,
    person_of,
    put_in_force,
)
from tests.e2e.test_operating import publish
from tests.support.browsing import visitor
from tests.support.house import House, wait_until

API = "/v1/policy/accounts"
PATIENCE = 20_000


def in_force(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.request("GET", "accounts", API)[1]
    return found


def test_a_table_is_planned_and_put_in_force(house: House, browser: Browser, url: str) -> None:
    changed = put_in_force(house, changed_table(), "prov")
    file = in_force(house)["candidate"]["hash"]
    assert in_force(house)["candidate"]["differs"]
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/policy")
        expect(page.locator("main")).to_contain_text("A new table waits")
        employed = page.locator("#new-row-employed")
        expect(employed.locator("del")).to_contain_text("45")
        expect(employed.locator("ins")).to_contain_text("30")
        expect(page.locator("#new-row-intern")).to_contain_text("removed")
        expect(page.locator("#new-row-elected")).to_contain_text("new")
        expect(page.locator("tr.is-row-moved[id^=new-]")).to_have_count(1)
        expect(page.locator("#before-row-intern")).to_contain_text("new")
        assert someone.axe() == []
        page.get_by_role("link", name="Show who would change").click()
        expect(page.locator("h1")).to_have_text("Who is concerned")
        assert someone.axe() == []
        assert in_force(house)["active"]["hash"] == changed, "a plan changes nothing"
        page.fill("#reason", "back to thirty days")
        page.get_by_role("button", name="Activate").click()
        expect(page.locator("#toasts .toast")).to_contain_text("Activated")
        expect(page.locator("main")).to_contain_text("back to thirty days")
        expect(page.locator("#before-row-employed")).to_contain_text("changed")
        assert someone.faults == []
    assert in_force(house)["active"]["hash"] == file


def test_groups_have_a_table_of_their_own_and_stand_on_the_person_with_their_row(
    house: House, browser: Browser, url: str
) -> None:
    put_in_force(house, birthright(("nobody", "Ingen alls", "ingen")), "prov", "birthright")
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/policy")
        page.get_by_role("link", name="Groups and licences").click()
        expect(page.locator("#new-row-nobody")).to_contain_text("removed")
        expect(page.locator("main")).to_contain_text("Every row that matches an employment gives what it says.")
        page.get_by_role("link", name="Show who would change").click()
        page.fill("#reason", "the row is for nobody")
        page.get_by_role("button", name="Activate").click()
        expect(page.locator("main")).to_contain_text("the row is for nobody")
        expect(page.locator("#row-nobody")).to_have_count(0)
        person = engineer(house)
        someone.goto(f"/people/{person}")
        targets = page.locator("#targets")
        expect(targets).to_contain_text("The group is not in the target group ritningar")
        expect(targets.locator("li", has_text="ritningar").first).to_contain_text("not there")
        expect(targets.locator(".versus").first).to_contain_text(re.compile(r"Should be\s*enabled"))
        expect(page.locator(".timeline")).to_contain_text("given teknik")
        given = targets.locator("li", has_text="teknik")
        expect(given).to_contain_text("has it")
        given.get_by_role("link", name="show the row").click()
        expect(page.locator("tr:target")).to_have_attribute("id", "row-engineers")
        someone.goto("/policy/plan?table=birthright")
        expect(page.locator("tr", has_text="teknik").first).to_contain_text("OpenLDAP")
        expect(page.locator("dl.facts")).to_contain_text("lose groups or licences")
        someone.goto(f"/policy/trial?person={person}")
        expect(page.locator("main")).to_contain_text("Row engineers gives group teknik")
        assert someone.faults == []


def test_what_another_hand_took_is_left_and_given_again_where_the_person_is_shown(
    house: House, browser: Browser, url: str
) -> None:
    person, base = engineer(house), house.organisations["alvsund"].targets["openldap"]
    dn = house.directory()[ENGINEER].dn
    group = f"dn: cn=teknik,ou=groups,{base}\nchangetype: modify\ndelete: member\nmember: {dn}\n"
    house.ldap_tool("ldapmodify", group)
    house.stafett("reverify", person, "--service", "accounts", "--reason", "saknar sin grupp")
    wait_until(lambda: not entitlements(house, ENGINEER)["teknik"], seconds=30)
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        for link, choice, after in (
            ("Decide… teknik", "Leave it", "it was decided to leave it"),
            ("Give again… teknik", "Give again", "has it"),
        ):
            someone.goto(f"/people/{person}")
            page.locator("#targets").get_by_role("link", name=link).click()
            page.get_by_label(choice).check()
            page.fill("#reason", "utrett med chefen")
            page.get_by_role("button", name="Decide", exact=True).click()
            expect(page).to_have_url(f"{url}/people/{person}")
            expect(page.locator("#targets .plainlist li", has_text="teknik")).to_contain_text(after, timeout=30_000)
        assert someone.faults == []


def test_who_may_only_look_cannot_put_a_table_in_force(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "it_read")
        someone.goto("/policy")
        token = json.loads(page.locator("body").get_attribute("hx-headers") or "{}")
        form: dict[str, str | float | bool] = {"hash": "x", "reason": "y"}
        refused = page.request.post(f"{url}/policy/activate", form=form, headers=token)
        assert refused.status == 403
        assert "Du får inte se det här" in refused.text(), "without a preference it speaks Swedish"


def test_a_message_nobody_could_read_is_taken_in_again(house: House, browser: Browser, url: str) -> None:
    publish(house, "bulk.person.core", "se.stafett.person.mover.v1", b'{"specversion": "1.0"}')

    def dead() -> list[str]:
        items = house.request("GET", "accounts", "/v1/operations/dead-letters")[1]["items"]
        return [one["id"] for one in items]

    wait_until(lambda: len(dead()) == 1, seconds=20)
    before = dead()
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/attention")
        row = page.locator("section[aria-labelledby=dead-title] tbody tr", has_text="id: missing").first
        expect(row).to_contain_text("se.stafett.person.mover.v1")
        assert someone.axe() == []
        row.get_by_role("link", name="Take in again").click()
        page.locator("dialog[open] #reason").fill("tried once more")
        page.locator("dialog[open] button.button").click()
        expect(page.locator("dialog[open]")).to_have_count(0)
        # it still cannot be read, so it is kept again, as a new one
        wait_until(lambda: dead() not in (before, []), seconds=20, why=dead)
        assert someone.faults == []


def test_a_target_is_paused_and_resumed_with_a_reason_and_it_shows(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/operations")
        service = page.locator("[data-service=accounts]")
        service.get_by_role("link", name="Pause OpenLDAP").click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("for any organisation")
        assert someone.axe() == []
        dialog.locator("#reason").fill("the directory is moved")
        dialog.get_by_role("button", name="Pause").click()
        expect(service.locator(".notice.paused")).to_contain_text("the directory is moved", timeout=PATIENCE)
        expect(service.locator(".badges")).to_contain_text("paused")
        expect(service.locator(".badges")).not_to_contain_text("in order")
        assert someone.axe() == []
        service.get_by_role("link", name="Resume OpenLDAP").click()
        dialog.locator("#reason").fill("it is back")
        dialog.get_by_role("button", name="Resume").click()
        expect(service.locator(".notice.paused")).to_have_count(0, timeout=PATIENCE)
        again = page.request.get(url + "/operations/accounts/openldap/resume")
        assert again.status == 200
        assert someone.faults == []
    with visitor(browser, url, java_script_enabled=False) as someone:
        page = someone.sign_in()
        someone.goto("/operations/accounts/openldap/resume")
        page.fill("form.act #reason", "once more")
        page.locator("form.act button.button").click()
        expect(page.locator("form.act [role=alert]")).to_contain_text("The target is not paused")


def test_a_command_is_followed_to_its_end(house: House, browser: Browser, url: str) -> None:
    person = person_of(house, "1009")
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto(f"/people/{person}")
        page.locator("#targets [id^=act-reverify-accounts-]").click()
        page.locator("dialog[open] #reason").fill("is it so?")
        page.locator("dialog[open] button.button").click()
        panel = page.locator("#following .panel")
        expect(panel).to_contain_text("1 of 1 as asked", timeout=PATIENCE)
        assert someone.axe() == []
        panel.get_by_role("link").click()
        expect(page.locator("h1")).to_contain_text("Look again")
        expect(page.locator("#command tbody th")).to_have_text("Linnéa Falk")
        expect(page.locator("#command tbody tr")).to_contain_text("settled")
        someone.goto("/operations")
        expect(page.locator("#commands tbody tr").first).to_contain_text("is it so?")
        assert someone.faults == []


def test_the_audit_tells_who_has_looked_at_somebody(house: House, browser: Browser, url: str) -> None:
    person = person_of(house, "1010")
    with visitor(browser, url) as someone:
        someone.sign_in("alvsund", "it_read")
        someone.goto(f"/people/{person}")
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "auditor")

        def listed() -> bool:
            someone.goto(f"/audit?person={person}&action=person.read")
            return page.locator("tbody tr", has_text="it_read@alvsund").count() > 0

        wait_until(listed, seconds=20)
        expect(page.locator(".about")).to_contain_text("Sven-Åke Åström")
        page.locator("tbody tr", has_text="it_read@alvsund").first.locator("td a").first.click()
        expect(page.locator("#actor")).to_have_value("it_read@alvsund")
        expect(page.locator("#action")).to_have_value("person.read")
        someone.goto("/audit?person=sven")
        expect(page.locator(".about")).to_contain_text("Sven-Åke Åström")
        assert someone.faults == []


def test_the_policy_is_tried_on_a_person(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/policy")
        page.fill("#person", "sven")
        page.get_by_role("button", name="Try").click()
        expect(page.locator(".because").first).to_contain_text("Row employed decides")
        expect(page.locator("tr.lit").first).to_have_attribute("id", "row-employed")
        assert someone.faults == []


def test_units_go_live_after_their_people_were_counted(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in("bergby", "operations")
        someone.goto("/targets/openldap")
        page.get_by_role("link", name="See and choose units").click()
        page.locator("button.primary").click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("No unit is chosen")
        dialog.get_by_role("link", name="Cancel").click()
        page.locator("input[value='r-1']").check()
        page.locator("button.primary").click()
        expect(dialog).to_contain_text("2 more people are written")
        assert someone.axe() == []
        page.fill("#reason", "första vågen")
        page.fill("#confirmed", "2")
        dialog.get_by_role("button", name="Go live").click()
        expect(page.locator("#toasts .toast")).to_contain_text("They are live")
        expect(page.locator("tbody tr", has_text="Station Bergby")).to_contain_text("första vågen")
        expect(page.locator("input[value='r-1']")).to_have_count(0)
        # what is in a form hides nothing that scripts call on it
        assert someone.faults == []
    wait_until(lambda: "8001" in house.directory("bergby"), seconds=30)


def test_an_account_is_compared_with_its_candidates_and_is_nobodys(house: House, browser: Browser, url: str) -> None:
    path = drifting(house)["takeover-ambiguous"]
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto(path)
        row = page.locator("tbody tr", has_text="siv.adm")
        row.get_by_role("link", name="Compare and choose").click()
        expect(page.locator("tbody tr", has_text="Employee number")).to_contain_text("the same")
        expect(page.locator("tbody tr", has_text="May have these accounts too")).to_contain_text("siwe01")
        assert someone.axe() == []
        page.get_by_role("link", name="None of them").click()
        page.locator("dialog[open] #reason").fill("an administrator's second account")
        page.locator("dialog[open]").get_by_role("button", name="None of them").click()
        expect(row).to_contain_text("None of them")
        assert someone.faults == []


def test_a_page_tells_when_the_comparison_that_it_waits_for_has_ended(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/targets/openldap")
        page.get_by_role("button", name="Compare now").click()
        expect(page.locator("#reading")).to_contain_text(re.compile("comparison (begins|is under way|has ended)"))
        page.get_by_role("link", name="Show what it found").click(timeout=PATIENCE)
        expect(page.locator("#reading")).to_have_text("")
        assert someone.faults == []
