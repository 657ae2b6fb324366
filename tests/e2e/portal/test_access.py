"""Access beside HR's word, at a browser: closed at once and opened again, kept by two people, and what is given up."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.e2e.portal.places import person_of
from tests.support import hr, town
from tests.support.browsing import visitor
from tests.support.house import House, soon, wait_until

PATIENCE = 20_000


def send(page: Page, button: str, reason: str) -> None:
    """Fill the dialog in and send it."""
    dialog = page.locator("dialog[open]")
    dialog.locator("#reason").fill(reason)
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_have_count(0)


def test_everything_is_closed_at_once_and_opened_again(house: House, browser: Browser, url: str) -> None:
    house.post([town.hired("4001", ("Disa", "Spärrlund"))])
    wait_until(lambda: "4001" in house.directory(), seconds=30)
    dn = house.directory()["4001"].dn
    house.set_password(dn, "hemlig-1")
    house.settled()
    assert house.binds(dn, "hemlig-1")
    person = person_of(house, "4001")
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto(f"/people/{person}")
        page.locator("#access").get_by_role("link", name="Close everything now").click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("Disa Spärrlund")
        expect(dialog).to_contain_text("Nothing that HR says opens it again")
        assert someone.axe() == []
        send(page, "Close everything now", "suspected intrusion")
        wait_until(lambda: not house.binds(dn, "hemlig-1"), seconds=20)
        expect(page.locator("#targets > .notice.bad")).to_contain_text("All access is closed since", timeout=PATIENCE)
        expect(page.locator(".because").first).to_contain_text("that goes before every row")
        expect(page.locator("#access tbody tr").first).to_contain_text("suspected intrusion")
        expect(page.locator("#access").get_by_role("link", name="Keep until")).to_have_count(0)
        assert someone.axe() == []
        page.locator("#access").get_by_role("link", name="Lift the block").click()
        send(page, "Lift the block", "it was nothing")
        wait_until(lambda: house.binds(dn, "hemlig-1"), seconds=20)
        expect(page.locator("#targets > .notice")).to_have_count(0, timeout=PATIENCE)
        assert someone.faults == []
    with visitor(browser, url, java_script_enabled=False) as someone:
        page = someone.sign_in()
        someone.goto(f"/people/{person}/access/restore")
        page.fill("form.act #reason", "once more")
        page.get_by_role("button", name="Lift the block").click()
        expect(page.locator("form.act [role=alert]")).to_contain_text("It is so already")
        someone.goto(f"/people/{person}/access/keep")
        page.fill("form.act #reason", "no end is near")
        page.fill("#until", soon(6))
        page.get_by_role("button", name="Propose").click()
        expect(page.locator("form.act [role=alert]")).to_contain_text("There is no access to keep")
        expect(page.locator("form.act #reason")).to_have_value("no end is near")


def test_access_is_kept_by_two_people(house: House, browser: Browser, url: str) -> None:
    given, family = town.HOSTILE[0]
    house.post([town.hired("4002", (given, family), end=soon(3))])
    wait_until(lambda: "4002" in house.directory(), seconds=30)
    house.settled()
    person = person_of(house, "4002")
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto(f"/people/{person}")
        page.locator("#access").get_by_role("link", name="Keep until").click()
        until = page.locator("dialog[open] #until")
        expect(until).to_have_attribute("min", soon(0))
        expect(until).to_have_attribute("max", soon(14))
        until.fill(soon(6))
        assert someone.axe() == []
        send(page, "Propose", "hands over")
        row = page.locator("#access tbody tr", has_text="hands over")
        expect(row).to_contain_text("waits for a second person", timeout=PATIENCE)
        expect(row.get_by_role("link", name="Approve")).to_have_count(0)
        someone.goto("/attention")
        own = page.locator("section[aria-labelledby=second-title] tbody tr", has_text="hands over")
        expect(own.locator("th")).to_have_text(f"{given} {family}")
        expect(own.get_by_role("link")).to_have_text([re.compile("script"), "Take back"])
        approve = (own.get_by_role("link", name="Take back").get_attribute("href") or "").replace("/refuse", "/approve")
        someone.goto(approve)
        expect(page.locator("form.act [role=alert]")).to_contain_text("A second person has to approve")
        expect(page.locator("form.act #reason")).to_have_count(0)
        assert someone.faults == []
    with visitor(browser, url, language="sv") as someone:
        page = someone.sign_in("alvsund", "operations", "auditor")
        someone.goto("/attention")
        row = page.locator("section[aria-labelledby=second-title] tbody tr", has_text="hands over")
        expect(row.locator("td.acts")).to_have_text(re.compile(r"Godkänn\s*Neka"))
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "operations", "hr")
        someone.goto("/attention")
        row = page.locator("section[aria-labelledby=second-title] tbody tr", has_text="hands over")
        row.get_by_role("link", name="Approve").click()
        expect(page.locator("dialog[open]")).to_contain_text(f"{given} {family}")
        assert someone.axe() == []
        send(page, "Approve", "as agreed")
        expect(row).to_have_count(0, timeout=PATIENCE)
        someone.goto(f"/people/{person}")
        expect(page.locator("#targets > .notice")).to_contain_text("Access is kept until", timeout=PATIENCE)
        expect(page.locator("#access tbody tr", has_text="hands over")).to_contain_text("as agreed")
        page.locator("#access").get_by_role("link", name="Take the extension back").click()
        send(page, "Take the extension back", "not needed")
        expect(page.locator("#targets > .notice")).to_have_count(0, timeout=PATIENCE)
        assert someone.faults == []


def test_who_may_only_look_decides_nothing(house: House, browser: Browser, url: str) -> None:
    person = person_of(house, "1009")
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "it_read")
        someone.goto(f"/people/{person}")
        expect(page.locator("h1")).to_have_text("Linnéa Falk")
        expect(page.locator("#access a")).to_have_count(0)
        for action in ("disable", "restore", "keep", "withdraw"):
            assert page.request.get(f"{url}/people/{person}/access/{action}").status == 403
        someone.goto("/attention")
        expect(page.locator("#second-title")).to_have_count(0)


def test_what_cannot_be_done_is_skipped(house: House, browser: Browser, url: str) -> None:
    dn = town.handmade(house, "4003")
    house.post([town.hired("4003", ("Ture", "Hoppe"))])

    def attention() -> list[str]:
        items = house.request("GET", "status", "/v1/attention")[1]["items"]
        return [one["state"] for one in items if one["name"] == "Ture Hoppe"]

    wait_until(lambda: set(attention()) == {"parked"}, seconds=30, why=attention)
    person = person_of(house, "4003")
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/attention")
        row = page.locator("#list tbody tr", has_text="Ture Hoppe")
        row.first.get_by_role("link", name="Skip").click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("A removal is never skipped")
        assert someone.axe() == []
        dialog.get_by_label("Skip what cannot be done at 1 target").check()
        send(page, "Skip", "the supplier runs that account")
        expect(row).to_have_count(0, timeout=PATIENCE)
        expect(page.locator("#following .panel")).to_contain_text("1 of 1 as asked", timeout=PATIENCE)
        assert attention() == []
        someone.goto(f"/people/{person}")
        expect(page.locator("#targets")).to_contain_text("skipped")
        expect(page.locator("#targets").get_by_role("link", name="Skip")).to_have_count(0)
        someone.goto("/attention")
        held = page.locator("#list tbody tr", has=page.get_by_role("link", name="Carry out"))
        expect(held.get_by_role("link", name="Skip")).to_have_count(0)
        assert someone.faults == []
    house.ldap_tool("ldapdelete", dn + "\n")
    house.post([hr.change("4003", time="2026-03-02T08:30:00+01:00", extent=50)])
    wait_until(lambda: "4003" in house.directory(), seconds=30)
