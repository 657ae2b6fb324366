"""Desks that change things: a new policy is planned and put in force, a message nobody could read is taken in again."""

import json
from typing import Any

from playwright.sync_api import Browser, expect

from deploy.local.settings import ROOT
from tests.e2e.test_operating import publish
from tests.support.browsing import visitor
from tests.support.house import House, wait_until

API = "/v1/policy/accounts"
PATIENCE = 20_000


def in_force(house: House) -> dict[str, Any]:
    found: dict[str, Any] = house.request("GET", "accounts", API)[1]
    return found


def test_a_table_is_planned_and_put_in_force(house: House, browser: Browser, url: str) -> None:
    content = json.loads((ROOT / "deploy/policy/accounts.json").read_text())
    for node in content["nodes"]:
        for rule in node.get("content", {}).get("rules", []) if node["type"] == "decisionTableNode" else []:
            if rule["_id"] == "employed":
                rule["grace_days"] = "45"
    _, planned = house.request("POST", "accounts", f"{API}/plan", {"content": content})
    body = {"content": content, "hash": planned["hash"], "reason": "prov"}
    assert house.request("POST", "accounts", f"{API}/activate", body)[0] == 202
    file = in_force(house)["candidate"]["hash"]
    assert in_force(house)["candidate"]["differs"]
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/policy")
        expect(page.locator("main")).to_contain_text("A new table waits")
        expect(page.locator("#new-row-employed")).to_contain_text("45")
        assert someone.axe() == []
        page.get_by_role("button", name="Show who would change").click()
        expect(page.locator("h1")).to_have_text("Who would change")
        assert someone.axe() == []
        assert in_force(house)["active"]["hash"] == planned["hash"], "a plan changes nothing"
        page.fill("#reason", "back to thirty days")
        page.get_by_role("button", name="Activate").click()
        expect(page.locator("#toasts .toast")).to_contain_text("Activated")
        expect(page.locator("main")).to_contain_text("back to thirty days")
        assert someone.faults == []
    assert in_force(house)["active"]["hash"] == file


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
