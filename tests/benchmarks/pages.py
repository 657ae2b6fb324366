"""What people look at: the status API's answers and the portal's pages, as lists of addresses, and the way in."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

import httpx2
import psycopg

from deploy.local.installation import PORTAL, Installation

PERSON, LIST, START = 100, 150, 200
"""Targets for p95, in milliseconds."""
SAMPLES = 200
WORDS = (
    "andersson", "anna", "anna andersson", "lind", "karl", "erik jo", "åkesson", "a", "ö", "björk", "von bergen",
    "maria n", "lars", "svensson", "4000", "johanna.karlsson", "guttorm", "weiss", "hassan", "finnsinte",
)  # fmt: skip
_ASSET = re.compile(r'(?:href|src)="(/static/[^"#]+)')


@dataclass(frozen=True)
class View:
    """One kind of page: who serves it, where, and how long it may take."""

    name: str
    service: str
    target: int
    paths: Sequence[str]


def views(url: str) -> list[View]:
    """Return everything that is looked at, with people and cases drawn from the store at `url`."""
    persons, cases, recent, actor = _drawn(url)
    status, portal = "status", PORTAL
    words = [quote(word) for word in WORDS]
    filters = [
        *(f"state={state}" for state in ("running", "waiting", "attention", "done", "cancelled")),
        *(f"kind={kind}" for kind in ("joiner", "mover", "leaver")),
        *(f"reason={reason}" for reason in ("hire", "transfer", "death")),
        "state=cancelled&kind=mover", "kind=leaver&reason=dismissal&state=done", "kind=leaver&state=attention",
    ]  # fmt: skip
    since = [f"since={quote(instant)}" for instant in recent]
    days = [f"since={instant[:10]}" for instant in recent]
    return [
        View("person", status, PERSON, [f"/v1/persons/{one}" for one in persons]),
        View("timeline", status, PERSON, [f"/v1/persons/{one}/timeline" for one in persons]),
        View("case", status, PERSON, [f"/v1/cases/{one}" for one in cases]),
        View("people", status, LIST, ["/v1/persons"]),
        View("search", status, LIST, [f"/v1/persons?q={word}" for word in words]),
        View("cases", status, LIST, ["/v1/cases"]),
        *(View(f"cases, {one}", status, LIST, [f"/v1/cases?{one}"]) for one in filters),
        View("cases, since", status, LIST, [f"/v1/cases?{one}" for one in since]),
        View("cases, person", status, LIST, [f"/v1/cases?person={one}" for one in persons]),
        View("attention", status, LIST, ["/v1/attention"]),
        View("holds", status, LIST, ["/v1/holds"]),
        View("audit, person", status, LIST, [f"/v1/audit?person={one}" for one in persons]),
        View("audit, actor", status, LIST, [f"/v1/audit?actor={quote(actor)}", "/v1/audit?actor=nobody"]),
        View("audit, action", status, LIST, ["/v1/audit?action=command.retry", "/v1/audit?action=none"]),
        View("summary", status, START, ["/v1/summary"]),
        View("start page", portal, START, ["/"]),
        View("person", portal, PERSON, [f"/people/{one}" for one in persons]),
        View("case", portal, PERSON, [f"/cases/{one}" for one in cases]),
        View("search", portal, LIST, [f"/people?q={word}" for word in words]),
        View("cases", portal, LIST, ["/cases"]),
        View("cases, each filter", portal, LIST, [f"/cases?{one}" for one in (*filters, *days)]),
        View("attention", portal, LIST, ["/attention"]),
    ]


def _drawn(url: str) -> tuple[list[str], list[str], list[str], str]:
    """Draw people, cases, instants to look back to, and an actor who is seldom seen."""
    chance = random.Random(1)  # noqa: S311 - the same in every run
    with psycopg.connect(url) as conn:
        conn.execute("SET search_path = status")
        found = [
            conn.execute(query).fetchall()
            for query in (
                "SELECT person::text FROM person WHERE organisation = 'alvsund' AND protection = 'none' ORDER BY 1",
                "SELECT case_id::text FROM \"case\" WHERE organisation = 'alvsund' AND NOT protected ORDER BY 1"
                " LIMIT 20000",
                "SELECT to_char(now() - n * interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
                " FROM unnest(ARRAY[0.3, 1, 7, 30, 365, 900]) n",
                "SELECT actor FROM audit WHERE organisation = 'alvsund' GROUP BY 1 ORDER BY count(*), 1 LIMIT 1",
            )
        ]
    persons, cases, recent, actors = ([row[0] for row in rows] for rows in found)
    return chance.sample(persons, SAMPLES), chance.sample(cases, SAMPLES), recent, actors[0]


def sign_in(installation: Installation, *roles: str) -> str:
    """Sign in at the portal as somebody with these roles, over HTTP as a browser does; return the cookie header."""
    portal, provider = (installation.services[name].url for name in installation.pages[::-1])
    with httpx2.Client() as client:
        begun = client.get(f"{portal}/sign-in")
        asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
        form = {name: asked[name] for name in ("state", "nonce", "code_challenge")}
        chosen = client.post(f"{provider}/authorize", data={**form, "organisation": "alvsund", "role": list(roles)})
        assert client.get(chosen.headers["location"]).status_code == 303
        cookies: Mapping[str, str | None] = {one.name: one.value for one in client.cookies.jar}
    return f"stafett={cookies['stafett']}"


def weights(installation: Installation, cookie: str) -> dict[str, int]:
    """Return how many bytes of body a browser gets for its first page: the page, and all that it names."""
    base = installation.services[PORTAL].url
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip, deflate, br", "Accept-Language": "sv"}
    found: dict[str, int] = {}
    with httpx2.Client(headers=headers) as client:
        page, found["/"] = _fetched(client, f"{base}/")
        # of the fonts, a Swedish page uses the one that it preloads
        for path in sorted(set(_ASSET.findall(page))):
            _, found[path] = _fetched(client, base + path)
    return found


def _fetched(client: httpx2.Client, url: str) -> tuple[str, int]:
    with client.stream("GET", url) as answer:
        assert answer.status_code == 200, url
        body = answer.read()
        return body.decode(errors="replace"), answer.num_bytes_downloaded
