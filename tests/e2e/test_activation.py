"""A joiner's first password, in a browser: a code from IT, and the login works from the start to the end.

In OpenLDAP and in a real Active Directory; a simulated tenant of Entra ID takes the password too.
"""

from collections.abc import Iterator

import ldap3
import pytest
from playwright.sync_api import Browser, Page, expect

from services.kernel.directory.encryption import StrictTls
from tests.e2e.portal.places import person_of
from tests.support import hr
from tests.support.browsing import chromium, visitor
from tests.support.house import House, at, running_house, soon, wait_until
from tests.support.story import TODAY
from tests.support.town import hired

NUMBER, PASSWORD, SIMPLE = "1700", "Blå hästar 42 på ängen", "blahastarpaangen"
STARTS, ENDS = soon(3), soon(30)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(portal=True, active_directory=True, graph=True) as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hired(NUMBER, ("Ylva", "Ny"), start=STARTS, end=ENDS)])
        house.settled()
        yield house


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def bound(house: House, who: str, password: str) -> ldap3.Connection:
    """Bind to the domain by ldap3, none of our code."""
    samba = house.installation.samba
    server = ldap3.Server(samba.url, get_info=ldap3.NONE, tls=StrictTls(str(samba.ca_file)))
    connection = ldap3.Connection(server, who, password, client_strategy=ldap3.SAFE_SYNC)
    connection.bind()
    return connection


def in_domain(house: House) -> bool:
    """Tell whether the joiner can log in to the domain, by the name that the domain's administrator sees."""
    samba, base = house.installation.samba, house.organisations["alvsund"].targets["active_directory"]
    admin = bound(house, samba.admin_dn, samba.config.admin_password)
    _, _, found, _ = admin.search(base, f"(employeeNumber={NUMBER})", attributes=["userPrincipalName"])
    admin.unbind()
    (principal,) = (one["raw_attributes"]["userPrincipalName"][0].decode() for one in found)
    joiner = bound(house, principal, PASSWORD)
    allowed = bool(joiner.bound)
    joiner.unbind()
    return allowed


def fill(page: Page, login: str, code: str, password: str, again: str) -> None:
    for name, text in (("login", login), ("code", code), ("password", password), ("again", again)):
        page.fill(f"#{name}", text)
    page.get_by_role("button", name="Set the password").click()


def test_a_joiner_activates_logs_in_at_the_start_and_not_after_the_end(house: House, browser: Browser) -> None:
    url, person = house.installation.services["portal"].url, person_of(house, NUMBER)
    dn = house.directory()[NUMBER].dn
    with visitor(browser, url, permissions=["clipboard-read", "clipboard-write"]) as it:
        page = it.sign_in()
        it.goto(f"/people/{person}")
        page.click("#activation-issue")
        expect(page.locator("#dialog h2")).to_have_text("Issue an activation code?")
        assert it.axe() == []
        page.fill("#dialog #reason", "first day")
        page.get_by_role("button", name="Issue and show the code").click()
        expect(page.locator("#told")).to_be_visible()
        code = page.locator("#told").inner_text()
        assert it.axe() == []
        page.get_by_role("button", name="Copy the code").click()
        expect(page.locator("[data-copy] [role=status]")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == code
        page.get_by_role("link", name="I have given it on").click()
        expect(page.locator("#activation")).to_contain_text("code fetched, not used")
        assert code not in page.content()
        assert it.faults == []
    with visitor(browser, url, java_script_enabled=False) as somebody:
        page = somebody.goto("/activate")
        fill(page, "ylva.ny", code, PASSWORD, PASSWORD + "x")
        expect(page.locator("#again-wrong")).to_be_visible()
        fill(page, "ylva.ny", code, "kort", "kort")
        expect(page.locator("#trouble")).to_contain_text("The password is too short")
    with visitor(browser, url, theme="dark") as ylva:
        page = ylva.goto("/activate")
        assert ylva.axe() == []
        page.get_by_role("link", name="Svenska").click()
        expect(page.locator("h1")).to_have_text("Välj ditt lösenord")
        page.get_by_role("link", name="English").click()
        expect(page.locator("h1")).to_have_text("Choose your password")
        fill(page, "ylva.ny", "00000-00000-00000-00000", PASSWORD, PASSWORD)
        expect(page.locator("#trouble")).to_contain_text("do not belong together")
        assert ylva.axe() == []
        fill(page, "ylva.ny", code, SIMPLE, SIMPLE)
        expect(page.locator("#trouble")).to_contain_text("does not accept the password")
        fill(page, "YLVA.NY", code.lower().replace("-", " "), PASSWORD, PASSWORD)
        expect(page.locator("h1")).to_have_text("Your password is set")
        expect(page.locator("main")).to_contain_text("The login works from 5 Mar 2026 at 00:00, not before.")
        expect(page.locator("main li")).to_have_count(3)
        expect(page.locator("main ul")).not_to_contain_text("not")
        assert ylva.axe() == []
        assert "Ylva" not in page.content()
        assert [fault for fault in ylva.faults if "422" not in fault] == []
    assert (house.binds(dn, PASSWORD), in_domain(house)) == (False, False), "before the start"
    house.set_business_time(at(STARTS, "00:00"))
    wait_until(lambda: house.binds(dn, PASSWORD) and in_domain(house), seconds=30)
    house.set_business_time(at(soon(31), "00:01"))
    wait_until(lambda: not house.binds(dn, PASSWORD) and not in_domain(house), seconds=30)


def test_the_command_issues_a_code_and_shows_how_it_stands(house: House) -> None:
    house.post([hired("1701", ("Bo", "Berg"))])
    house.settled()
    person = person_of(house, "1701")
    told = house.stafett("activation", "issue", person, "--reason", "first day")
    assert "bo.berg" in told
    assert "code fetched, not used" in house.stafett("activation", "show", person)
    assert told.splitlines()[0] not in house.stafett("activation", "show", person)
