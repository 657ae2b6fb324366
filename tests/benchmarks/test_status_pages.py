"""The status API and the portal over a large store: what somebody waits for, and how much is sent."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from deploy.local.installation import PORTAL
from tests.benchmarks import figures, load, population
from tests.benchmarks.load import Load
from tests.benchmarks.pages import View, sign_in, views, weights
from tests.benchmarks.site import Site, site

ROUNDS = 3
REQUESTS = 100
RATE = 20.0
FIRST_PAGE = 100_000


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site(portal=True) as place:
        with place.house.admin() as conn:
            conn.execute("UPDATE kernel.clock SET clock_offset = '0'")
        population.fill(place.installation.postgres.url)
        yield place


def _headers(place: Site, cookie: str, view: View) -> dict[str, str]:
    if view.service == PORTAL:
        return {"Cookie": cookie, "Accept-Encoding": "gzip", "Accept-Language": "sv"}
    # a reader as most are: without the right to see protected identities
    scopes = "persons:read cases:read audit:read"
    return {"Authorization": f"Bearer {place.house.token(scopes=scopes)}"}


def measure(place: Site, view: View, cookie: str, folder: Path) -> list[float]:
    """Return p95 of each round, in milliseconds, at 20 arrivals a second."""
    lines = folder / "paths"
    found = []
    for round_ in range(ROUNDS):
        first = round_ * REQUESTS
        lines.write_text("\n".join(view.paths[n % len(view.paths)] for n in range(first, first + REQUESTS)))
        spec = Load(
            port=place.installation.ports.http[view.service],
            method="GET",
            headers=_headers(place, cookie, view),
            lines=lines,
            connections=4,
            rate=RATE,
        )
        run = load.send(spec)
        assert run.statuses.keys() <= {200, 303}, (view.name, run.statuses)
        found.append(run.percentile(0.95))
    return found


@pytest.mark.timeout(1800)
def test_pages_over_a_large_store(place: Site) -> None:
    cookie = sign_in(place.installation, "operations")
    shown = views(place.installation.postgres.url)
    for service, whose in (("status", "the status API"), (PORTAL, "the portal, signed in")):
        with figures.chapter(f"6. {whose}: p95 of {REQUESTS} arrivals at {RATE:.0f}/s, {ROUNDS} rounds"):
            for view in (one for one in shown if one.service == service):
                rounds = measure(place, view, cookie, place.folder)
                said = f"p95 {median(rounds):.0f} ms  [{' '.join(f'{one:.0f}' for one in rounds)}]"
                figures.measured(view.name, said, f"{view.target} ms")
    sizes = weights(place.installation, cookie)
    figures.measured(
        f"first page, {len(sizes)} requests, compressed", f"{sum(sizes.values()):,} bytes", f"{FIRST_PAGE:,}"
    )
