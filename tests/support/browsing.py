"""A person at a browser: Debian's Chromium, driven by playwright."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.servers import skip_or_fail

CHROMIUM = "/usr/bin/chromium"
AXE = Path(__file__).parent / "axe" / "axe.min.js"
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SECONDS_20 = 20_000
Language = Literal["sv", "en"]
Theme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
    if not shutil.which(CHROMIUM):
        skip_or_fail("Chromium is not installed (Debian package: chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visitor:
    """Somebody with a browser of their own."""

    url: str
    context: BrowserContext
    page: Page
    faults: list[str]

    def goto(self, path: str) -> Page:
        """Open a page of the portal."""
        self.page.goto(self.url + path)
        return self.page

    def sign_in(self, organisation: str = "alvsund", *roles: str, number: str = "") -> Page:
        """Sign in as somebody with these roles, operations without any; as a manager by employee number."""
        self.goto("/")
        self.page.select_option("#organisation", organisation)
        for box in self.page.locator("input[name=role]").all():
            box.set_checked(box.get_attribute("value") in (roles or ("operations",)))
        self.page.fill("#number", number)
        self.page.click("button.primary")
        expect(self.page.locator("#main")).to_be_visible(timeout=SECONDS_20)
        # a person is slower than a deferred script
        self.page.wait_for_load_state("load")
        return self.page

    def axe(self) -> list[str]:
        """Return what axe-core finds against WCAG 2.1 AA: rule, and the elements that break it."""
        # injected by the debugger's protocol: the page's own policy forbids it, as it should
        self.page.evaluate(AXE.read_text() + "; null")
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
        options = json.dumps({"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]})
        found: dict[str, Any] = self.page.evaluate(f"axe.run(document, {options})")
        return [
            f"{one['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
            for one in found["violations"]
            for node in one["nodes"]
        ]


@contextmanager
def visitor(
    browser: Browser, url: str, *, language: Language = "en", theme: Theme = "light", **options: Any
) -> Iterator[Visitor]:
    """A new browser window; `faults` fills with what the page's console complains of."""
    context = browser.new_context(
        locale={"sv": "sv-SE", "en": "en-GB"}[language],
        color_scheme=theme,
        viewport={"width": 1360, "height": 900},
        **options,
    )
    faults: list[str] = []
    page = context.new_page()
    page.set_default_timeout(SECONDS_20)
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    # a page that is left before it shows has no transition to show: Chromium calls that an error
    page.on("pageerror", lambda error: None if str(error).startswith("Transition was") else faults.append(str(error)))
    try:
        yield Visitor(url, context, page, faults)
    finally:
        context.close()
