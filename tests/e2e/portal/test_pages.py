"""Every page: accessible in light and dark, safe with hostile names, small, and without a complaint in the console."""

import re
import urllib.request

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.e2e.portal.places import person_of, places
from tests.support import town
from tests.support.browsing import Language, Theme, visitor
from tests.support.house import House, wait_until

FIRST_PAGE = 100_000


@pytest.mark.parametrize(("language", "theme"), [("sv", "light"), ("en", "dark")])
def test_no_page_breaks_a_rule_of_accessibility(
    language: Language, theme: Theme, house: House, browser: Browser, url: str
) -> None:
    with visitor(browser, url, language=language, theme=theme) as someone:
        someone.goto("/")
        found = {"sign-in": someone.axe()}
        expect(someone.page.locator("h1")).to_have_text(
            {"sv": "Vem vill du vara?", "en": "Who do you want to be?"}[language]
        )
        someone.sign_in("alvsund", "operations", "hr", "auditor")
        for name, path in places(house).items():
            answer = someone.page.goto(url + path)
            assert answer is not None
            assert answer.status == (404 if name in {"not-there", "no-such-page"} else 200), name
            found[name] = someone.axe()
        someone.goto("/attention")
        someone.page.locator("#list td.acts a").first.click()
        expect(someone.page.locator("dialog[open]")).to_be_visible()
        found["dialog"] = someone.axe()
        assert {name: broken for name, broken in found.items() if broken} == {}
        # a page that is not there is a 404, and the console says so
        assert [fault for fault in someone.faults if "404" not in fault] == []


def test_hostile_names_are_text_everywhere(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in("alvsund", "operations", "hr", "auditor")
        paths = ["/", "/cases", "/audit", "/operations", "/commands", "/people?q=onerror"]
        paths += [path for name, path in places(house).items() if name.startswith(("file", "identity"))]
        paths += ["/policy/trial?person=<b>", "/people?q=<script>alert(1)</script>"]
        for n, (given, family) in enumerate(town.HOSTILE):
            person = person_of(house, str(2000 + n))
            case = house.request("GET", "status", f"/v1/cases?person={person}")[1]["items"][0]["id"]
            paths += [
                f"/people/{person}",
                f"/cases/{case}",
                f"/act?type=retry&service=accounts&person={person}",
                f"/audit?person={person}",
                f"/people/{person}/access/disable",
                f"/people/{person}/access/keep",
                f"/policy/trial?person={person}",
            ]
            page.goto(f"{url}/people/{person}")
            expect(page.locator("h1")).to_have_text(f"{given} {family}")
        for path in paths:
            page.goto(url + path)
            assert "xss" not in re.sub(r"document\.title='xss'", "", page.title()), path
            assert page.locator("main script, main img, main [onload], main [onerror], main [onfocus]").count() == 0, (
                path
            )
            assert page.locator("main a[href^='javascript:']").count() == 0, path
            assert "49" not in page.locator("h1").first.inner_text(), path
        assert someone.faults == []


def test_the_first_page_is_small_and_comes_from_here_alone(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        someone.sign_in()
        sizes: dict[str, int] = {}

        def finished(request: Request) -> None:
            sizes[request.url] = request.sizes()["responseBodySize"]

        with visitor(browser, url) as fresh:
            fresh.context.add_cookies(someone.context.cookies())  # type: ignore[arg-type]
            fresh.page.on("requestfinished", finished)
            fresh.goto("/")
            fresh.page.wait_for_load_state("networkidle")
        assert len(sizes) > 5
        assert all(one.startswith(url) for one in sizes)
        assert sum(sizes.values()) < FIRST_PAGE, sizes


def test_language_and_colours_are_chosen_and_kept(browser: Browser, url: str) -> None:
    with visitor(browser, url, language="sv") as someone:
        page = someone.sign_in()
        expect(page.locator("html")).to_have_attribute("lang", "sv")
        someone.goto("/cases?state=done")
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page).to_have_url(url + "/cases?state=done")
        page.get_by_role("button", name="Dark colours").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        someone.goto("/")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(14, 20, 18)"


def test_everything_can_be_reached_with_the_keyboard(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        page.keyboard.press("Tab")
        expect(page.locator(".skip")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        someone.goto("/attention")
        page.locator("#list td.acts a").first.focus()
        page.keyboard.press("Enter")
        expect(page.locator("dialog[open] #reason")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)


def test_the_portals_log_holds_no_names_and_no_tokens(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        someone.sign_in("alvsund", "operations", "hr")
        someone.goto("/people?q=handgjord")
        someone.goto("/people?q=a")
    log = house.installation.log("portal").read_text()
    assert "sign_in.done" in log
    for secret in ("Handgjord", "handgjord", "Personal", "eyJ", "code=", "Bearer"):
        assert secret not in log, secret


def test_a_change_elsewhere_shows_without_a_reload(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        expect(page.locator("html[data-following]")).to_have_count(1)
        house.post([town.hired("9201", ("Sigrid", "Strömlin"))])
        # far sooner than the clock, by which parts look every 30 s
        expect(page.locator("#today")).to_contain_text("Sigrid Strömlin", timeout=10_000)
        assert someone.faults == []


def test_the_portal_is_measured_and_traced_as_services_are(house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        someone.sign_in()
        someone.goto("/people?q=handgjord")
    ports = house.installation.ports
    with urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics['portal']}/metrics", timeout=10) as answer:
        told = answer.read().decode()
    assert 'stafett_http_request_duration_seconds_count{method="GET",route="/people",status="2xx"}' in told
    assert "handgjord" not in told
    assert house.installation.prometheus.config.targets["portal"] == ports.metrics["portal"]


def look_again(page: Page) -> None:
    """As after one's own command: every part looks again at once."""
    page.evaluate("document.body.dispatchEvent(new CustomEvent('changed'))")


def test_focus_stays_when_a_part_looks_again(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/attention")
        link = page.locator("#list td.acts a").first
        link.focus()
        name = link.get_attribute("id")
        assert name
        page.evaluate("document.querySelector('#list tbody').dataset.old = '1'")
        look_again(page)
        expect(page.locator("#list tbody[data-old]")).to_have_count(0)
        expect(page.locator(f"[id='{name}']")).to_be_focused()
        # what is gone leaves the reader in the list, not at the top of the page
        page.evaluate("document.activeElement.id = 'gone'")
        look_again(page)
        expect(page.locator("#list")).to_be_focused()


def test_a_part_that_cannot_look_again_says_since_when(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        expect(page.locator("#live[data-state=following]")).to_be_visible()
        page.route("**/parts/*", lambda route: route.abort())
        look_again(page)
        expect(page.locator("#live[data-state=stale]")).to_contain_text("Not updated since")
        assert someone.axe() == []
        page.unroute("**/parts/*")
        look_again(page)
        expect(page.locator("#live[data-state=following]")).to_be_visible()
        page.route("**/act?*", lambda route: route.fulfill(status=500, body="x"))
        someone.goto("/attention")
        page.locator("#list td.acts a").first.click()
        expect(page.locator("#toasts .toast")).to_contain_text("Try again")


def test_updates_can_be_paused_and_stay_so(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        asked: list[str] = []
        page.locator("#live").click()
        expect(page.locator("#live")).to_have_attribute("aria-pressed", "true")
        someone.goto("/operations")
        expect(page.locator("#live")).to_have_attribute("aria-pressed", "true")
        page.on("request", lambda request: asked.append(request.url))
        look_again(page)
        # two rounds of the clock by which parts look
        page.evaluate("new Promise((done) => setTimeout(done, 600))")
        assert asked == []
        page.locator("#live").click()
        page.wait_for_event("request", lambda request: request.url.endswith("/operations"))
        assert someone.faults == []


def test_lines_have_a_past(house: House, browser: Browser, url: str) -> None:
    def sampled() -> bool:
        return any(house.request("GET", "accounts", "/v1/operations/samples?minutes=60")[1]["takenIn"])

    wait_until(sampled, seconds=40)
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/operations")
        expect(page.locator("[data-chart] canvas")).to_have_count(4)
        page.get_by_role("link", name="one day").click()
        expect(page).to_have_url(url + "/operations?minutes=1440")
        expect(page.locator("[data-chart] canvas")).to_have_count(4)
        assert someone.axe() == []
        assert someone.faults == []


def test_going_back_shows_the_whole_page(browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        page = someone.sign_in()
        someone.goto("/people")
        page.locator("#q").press_sequentially("sven")
        expect(page.locator("#tally")).to_have_text("1 person found")
        expect(page).to_have_url(url + "/people?q=sven")
        page.locator("#found tbody a").first.click()
        expect(page.locator("h1")).to_have_text("Sven-Åke Åström")
        page.go_back()
        expect(page.locator("nav a").first).to_be_visible()
        expect(page.locator("h1")).to_have_text(re.compile("People|Sven"))
        page.go_back()
        expect(page.locator("nav a").first).to_be_visible()


@pytest.mark.parametrize("width", [320, 480, 1024])
def test_no_page_is_wider_than_the_window(width: int, house: House, browser: Browser, url: str) -> None:
    with visitor(browser, url) as someone:
        someone.sign_in("alvsund", "operations", "hr", "auditor")
        someone.page.set_viewport_size({"width": width, "height": 800})
        for name, path in places(house).items():
            someone.page.goto(url + path)
            assert someone.page.evaluate("document.documentElement.scrollWidth") <= width, name
        expect(someone.page.locator(".where")).to_be_visible()
