"""The tour: sign in, find a person, see why, retry what was parked, release a hold, and watch it converge."""

import re

from playwright.sync_api import Browser, Page, expect

from tests.support import town
from tests.support.browsing import visitor
from tests.support.house import House, wait_until

PATIENCE = 20_000


def confirm(page: Page, reason: str) -> None:
    dialog = page.locator("dialog[open]")
    expect(dialog).to_be_visible()
    dialog.locator("#reason").fill(reason)
    dialog.locator("button.button").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#toasts .toast")).to_be_visible()


def test_operations_finds_explains_mends_and_watches(house: House, browser: Browser, url: str) -> None:
    dn = town.handmade(house, "9101")
    house.post([town.hired("9101", ("Torsten", "Tursson"))])
    wait_until(lambda: _parked(house, "Torsten Tursson"), seconds=30)
    with visitor(browser, url) as someone:
        page = someone.sign_in()

        page.keyboard.press("Control+k")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.type("torsten")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Torsten Tursson")
        targets = page.locator("#targets")
        expect(targets).to_contain_text("The account is not managed by Stafett")
        expect(targets).to_contain_text("Row employed of the policy accounts decided")

        house.ldap_tool("ldapdelete", dn + "\n")
        targets.get_by_role("link", name="Retry").click()
        confirm(page, "the stray object is gone")
        # no reload: the page looks again by itself
        expect(targets.locator(".versus:not(.placed)")).to_contain_text(re.compile(r"Is\s*enabled"), timeout=PATIENCE)
        expect(targets).not_to_contain_text("not managed")
        assert not house.directory()["9101"].disabled

        someone.goto("/attention?state=held")
        rows = page.locator("#list > .card.scroll tbody tr")
        before = rows.count()
        assert before == len(town.holds(house)) > 0
        name = rows.first.locator("th").inner_text()
        rows.first.get_by_role("link", name="Carry out").click()
        expect(page.locator("dialog[open]")).to_contain_text(name)
        expect(page.locator("dialog[open]")).to_contain_text("The account is disabled")
        confirm(page, "checked with HR")
        expect(rows.filter(has_text=name)).to_have_count(0, timeout=PATIENCE)
        assert len(town.holds(house)) == before - 1

        someone.goto("/people?q=" + name.replace(" ", "+"))
        account = page.locator("#targets .versus:not(.placed)")
        expect(account).to_contain_text(re.compile(r"Is\s*disabled"), timeout=PATIENCE)
        assert someone.faults == []


def _parked(house: House, name: str) -> bool:
    items = house.request("GET", "status", "/v1/attention?limit=200")[1]["items"]
    return any(item["name"] == name and item["state"] == "parked" for item in items)


def test_a_command_without_a_reason_is_not_given(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url, java_script_enabled=False) as someone:
        page = someone.sign_in()
        someone.goto("/attention?state=parked")
        row = page.locator("#list tbody tr", has_text="Gunnar Handgjord").first
        row.get_by_role("link", name="Retry").click()
        expect(page.locator("form.act")).to_be_visible()
        page.locator("form.act #reason").evaluate("one => one.removeAttribute('required')")
        page.locator("form.act button.button").click()
        expect(page.locator("#reason-wrong")).to_be_visible()
        # and without any script it can be given all the same
        page.fill("form.act #reason", "looked at it")
        page.locator("form.act button.button").click()
        expect(page).to_have_url(re.compile(r"/commands/[0-9a-f-]{36}$"))
        expect(page.locator("#toasts .toast")).to_be_visible()
        expect(page.locator("h1")).to_contain_text("Retry")


def test_a_service_that_is_down_greys_out_its_part_and_nothing_else(house: House, browser: Browser, url: str) -> None:
    accounts = house.installation.services["accounts"]
    accounts.stop()
    try:
        with visitor(browser, url) as someone:
            page = someone.sign_in()
            someone.goto("/operations")
            expect(page.locator("[data-service=accounts] .away")).to_contain_text("Accounts does not answer")
            expect(page.locator("[data-service=status] .facts")).to_be_visible()
            expect(page.locator("[data-service=ingestion] .facts")).to_be_visible()
            someone.goto("/policy")
            expect(page.locator(".away")).to_contain_text("Accounts does not answer")
            someone.goto("/")
            expect(page.locator("#figures .figure-value").first).to_be_visible()
            assert someone.faults == []
    finally:
        accounts.launch()
        accounts.wait_ready(60)


def test_roles_decide_what_is_shown(house: House, browser: Browser, url: str) -> None:
    held = town.holds(house)[0]["person"]
    wanted = {
        "operations": {"Start", "Cases", "People", "Needs a hand", "Files", "Operations", "Targets", "Policy"},
        "it_read": {"Start", "Cases", "People", "Needs a hand", "Targets", "Policy"},
        "hr": {"Start", "Cases", "People", "Needs a hand", "Identity", "Files"},
        "records": {"People"},
        "auditor": {"Start", "Cases", "People", "Needs a hand", "Operations", "Targets", "Policy", "Audit"},
        "manager": {"Start", "Cases", "People", "Needs a hand"},
    }
    for role, desks in wanted.items():
        with visitor(browser, url) as someone:
            page = someone.sign_in("alvsund", role)
            start = page.request.get(url + "/")
            assert start.status == 200, role
            assert "Personer" in start.text(), "without a preference it speaks Swedish"
            assert set(page.locator("nav a").all_inner_texts()) == desks | {"Organisation"}, role
            shown = {"/operations": "Operations", "/policy": "Policy", "/people": "People", "/audit": "Audit"}
            shown |= {"/files": "Files", "/targets": "Targets"}
            for path, desk in shown.items():
                answer = page.request.get(url + path)
                assert answer.status == (200 if desk in desks else 403), (role, path)
            act = page.request.get(f"{url}/act?type=reverify&service=accounts&person={held}")
            assert act.status == (200 if role == "operations" else 403), role
            pause = page.request.get(url + "/operations/accounts/openldap/pause")
            assert pause.status == (200 if role == "operations" else 403), role


def test_a_protected_person_is_shown_to_a_role_with_a_reason_and_the_reason_is_audited(
    house: House, browser: Browser, url: str
) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "hr")
        someone.goto("/people?q=skyddadsson")
        expect(page.locator("#found")).to_contain_text("Nobody matches")
        page.fill("#glass-reason", "åtgärd på begäran, ärende 17")
        page.get_by_role("button", name="Show protected personal data").click()
        expect(page.locator(".glass")).to_contain_text("ärende 17")
        page.locator("#found").get_by_role("link", name="Göta Skyddadsson").click()
        # a search is one thing, a person another; the reason is at hand
        expect(page.locator("#glass-reason")).to_have_value("åtgärd på begäran, ärende 17")
        page.get_by_role("button", name="Show protected personal data").click()
        expect(page.locator("h1")).to_have_text("Göta Skyddadsson")
        person = page.url.rsplit("/", 1)[-1]
        assert ("glass.broken", None, "search") in broken(house, "ärende 17")
        assert ("glass.broken", person, "person") in broken(house, "ärende 17")
        assert ("person.read", person, None) in broken(house, "ärende 17")
        page.locator("a.row").first.click()
        expect(page.locator("h1")).to_have_text("Göta Skyddadsson")
        # one person, and no other search
        someone.goto("/people?q=göta")
        expect(page.locator("#found")).to_contain_text("Nobody matches")
        page.get_by_role("button", name="Hide them again").click()
        assert page.request.get(f"{url}/people/{person}").status == 404
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "operations")
        someone.goto("/people?q=skyddadsson")
        expect(page.locator("#glass-reason")).to_have_count(0)


def broken(house: House, reason: str) -> list[tuple[str, str | None, str | None]]:
    """Return (action, subject, what was opened) of what was audited for a reason."""
    with house.admin() as conn:
        rows = conn.execute(
            "SELECT body::jsonb -> 'data' FROM status.outbox WHERE type LIKE '%%audit%%' AND body::text LIKE %s",
            (f"%{reason}%",),
        ).fetchall()
    return [(row["action"], row.get("subject"), row["parameters"].get("opened")) for (row,) in rows]


def test_another_organisation_sees_nothing_of_ours(house: House, browser: Browser, url: str) -> None:
    held = town.holds(house)[0]["person"]
    with visitor(browser, url) as someone:
        page = someone.sign_in("bergby", "operations", "hr")
        assert page.locator(".where").inner_text() == "Bergby räddningsförbund"
        assert page.request.get(f"{url}/people/{held}").status == 404
        someone.goto("/cases")
        # their own two, and nobody of ours
        assert set(page.locator("main tbody th").all_inner_texts()) == {"Tage Lindberg", "Siv Ros"}
        someone.goto("/files")
        expect(page.locator("main")).to_contain_text("No file has come yet")
        assert someone.axe() == []
