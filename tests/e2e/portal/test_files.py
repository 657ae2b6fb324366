"""A file's way through the portal: sent, planned, applied while one watches, and held people decided about."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.e2e.portal.places import HEADER, files, line
from tests.support.browsing import visitor
from tests.support.house import House

PATIENCE = 20_000


def test_a_file_is_sent_looked_at_and_applied(house: House, browser: Browser, url: str, tmp_path: Path) -> None:
    file = tmp_path / "nya.csv"
    rows = [HEADER, line("7100", "Nyman, Tuva"), line("7101", "Fel, Frida", form="Q")]
    file.write_bytes("\r\n".join([*rows, ""]).encode("cp1252"))
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "hr")
        someone.goto("/files")
        page.set_input_files("#send-file", file)
        page.select_option("#send-source", "https://hr.alvsund.example/personal")
        page.select_option("#send-kind", "delta")
        page.get_by_role("button", name="Send and plan").click()
        expect(page.locator("#toasts .toast")).to_contain_text("The file has come")
        # no reload: it is read and compared meanwhile
        expect(page.locator("h1 ~ .badge")).to_contain_text("planned", timeout=PATIENCE)
        people = page.locator("section[aria-labelledby=people-title]")
        expect(people.locator("tbody tr", has_text="7100")).to_contain_text("Joiner")
        expect(page.locator("section[aria-labelledby=rejects-title]")).to_contain_text("ANSTFORM")
        with page.expect_download() as download:
            page.get_by_role("link", name="Download all as CSV").click()
        assert b"ANSTFORM" in Path(download.value.path()).read_bytes()
        page.get_by_role("link", name="Apply").click()
        dialog = page.locator("dialog[open]")
        expect(dialog.locator("dd").first).to_have_text("1")
        assert someone.axe() == []
        dialog.get_by_role("button", name="Apply").click()
        expect(page.locator("h1 ~ .badge")).to_contain_text("done", timeout=PATIENCE)
        expect(people.locator("tbody tr", has_text="7100")).to_contain_text("applied")
        assert someone.faults == []


def test_held_people_are_found_ticked_and_kept(house: House, browser: Browser, url: str) -> None:
    files(house)
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "operations")
        someone.goto("/attention")
        page.locator("section[aria-labelledby=held-title] a.row").click()
        page.get_by_role("link", name="Choose among them").click()
        boxes = page.locator("input[type=checkbox]")
        before = boxes.count()
        page.get_by_role("button", name="Keep those ticked").click()
        dialog = page.locator("dialog[open]")
        expect(dialog).to_contain_text("Nobody is ticked")
        page.keyboard.press("Escape")
        boxes.nth(0).check()
        boxes.nth(1).check()
        page.get_by_role("button", name="Keep those ticked").click()
        expect(dialog).to_contain_text("2 people who are ticked")
        dialog.locator("#reason").fill("they are on leave")
        dialog.get_by_role("button", name="Keep them").click()
        expect(page.locator("#toasts .toast")).to_contain_text("Decided")
        page.get_by_role("link", name="Choose among them").click()
        expect(boxes).to_have_count(before - 2)
        assert someone.faults == []
