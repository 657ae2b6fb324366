"""A question of identity at a browser: two records become one person, and two again."""

from playwright.sync_api import Browser, expect

from tests.e2e.portal.places import told
from tests.support.browsing import visitor
from tests.support.house import House, wait_until

NEXT_LOOK = 45_000
"""A part that was away looks again by itself within 36 s."""
NUMBER = "197604101234"


def test_a_shared_number_is_merged_and_split_again(house: House, browser: Browser, url: str) -> None:
    people = [told("5101", ("Tekla", "Grip"), NUMBER), told("5102", ("Siv", "Grip-Ståhl"), NUMBER)]
    # one after the other: the first has the number, the second comes with it
    kept, absorbed = (house.post([one])[0]["person"] for one in people)
    wait_until(lambda: {"5101", "5102"} <= house.directory().keys(), seconds=30)
    house.settled()
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "hr")
        dialog = page.locator("dialog[open]")
        someone.goto("/attention")
        page.locator("section[aria-labelledby=identity-title] a.row").first.click(timeout=NEXT_LOOK)
        page.get_by_role("link", name="was told of Siv Grip-Ståhl").click()
        expect(page.locator("tr.differs")).to_contain_text(["Name", "Employee number"])
        expect(page.locator("table.sides")).to_contain_text("tekla.grip")
        page.get_by_role("link", name="Same person").click()
        dialog.get_by_label("Tekla Grip").check()
        dialog.locator("#reason").fill("married in May")
        assert someone.axe() == []
        dialog.get_by_role("button", name="Same person").click()
        expect(page.locator("#toasts .toast")).to_contain_text("Decided")
        expect(page.locator("section[aria-labelledby=decided-title]")).to_contain_text("married in May")

        someone.goto(f"/people/{absorbed}")
        expect(page.locator("main > .notice")).to_contain_text("This record was merged into")
        expect(page.get_by_role("link", name="Wind up what is surplus")).to_be_visible()
        page.locator("main > .notice a").first.click()
        expect(page).to_have_url(f"{url}/people/{kept}")
        expect(page.locator("section[aria-labelledby=aliases-title] a.row")).to_contain_text("siv.grip-stahl")

        page.get_by_role("link", name="Split").click()
        dialog.get_by_label("5102").check()
        dialog.locator("#reason").fill("they are sisters")
        dialog.get_by_role("button", name="Split").click()
        expect(dialog).to_contain_text("They are two people now")
        dialog.get_by_role("link", name="The other person").click()
        expect(page).to_have_url(f"{url}/people/{absorbed}")
        expect(page.locator("section[aria-labelledby=ids-title]")).to_contain_text("they are sisters")
        expect(page.locator("main > .notice")).to_have_count(0)
        assert someone.faults == []
    listed = house.stafett("identity", "list", "--all")
    assert "they are two different people" in listed, "they still share the number, and nobody is asked again"
    house.settled()
    assert not any(house.directory()[one].disabled for one in ("5101", "5102"))
