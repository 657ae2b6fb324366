"""The organisation desk, with orgtree and ingestion as the test says they answer."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from tests.integration.portal.conftest import Clock, Someone, signed_in
from tests.support.portal import FakeApi

BOSS = str(uuid4())
TREE = "/v1/organisation/tree"
SVG = "{http://www.w3.org/2000/svg}"


def unit(id_: str, depth: int, parent: str | None = None, **more: Any) -> dict[str, Any]:
    return {"unit": id_, "name": f"Enhet {id_} <&>", "depth": depth, "parent": parent, "children": 0, **more}


def town(*units: dict[str, Any]) -> dict[str, Any]:
    led = [{"person": BOSS, "name": "Åsa", "acting": True}]
    common = [
        unit("o-0", 1, children=2, leaders=led, people=1),
        unit("o-1", 2, "o-0", people=5),
        unit("o-2", 2, "o-0", people=7),
    ]
    return {"on": "2026-11-23", "path": [], "units": [*common, *units], "waiting": []}


@pytest.fixture
async def hanna(lonely: Portal, api: FakeApi, clock: Clock) -> AsyncIterator[Someone]:
    found = await signed_in(lonely, api, clock, "hr")
    yield found
    await found.client.aclose()


async def test_the_tree_is_taken_along_as_a_table(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", TREE)] = town(unit("o-3", 3, "o-2", name="=cmd()"))
    answer = await hanna.get("/organisation/tree.csv?on=2026-11-23&root=o-0")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="organisation-2026-11-23.csv"'
    found = {row["unit"]: row for row in csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))}
    assert found["o-0"]["managerIds"] == BOSS
    assert (found["o-3"]["name"], found["o-3"]["path"]) == ("'=cmd()", "Enhet o-0 <&> / Enhet o-2 <&> / =cmd()")
    (call,) = api.calls
    assert (call.query["on"], call.query["root"], call.query["depth"]) == ("2026-11-23", "o-0", "6000")


async def test_the_tree_is_drawn_as_a_picture_that_says_what_it_is(hanna: Someone, api: FakeApi) -> None:
    api.answers[("GET", TREE)] = town()
    for language, words in (
        ("sv", "Så som den gäller den 23 nov. 2026."),
        ("en", "As it is in effect on 23 Nov 2026."),
    ):
        answer = await hanna.get("/organisation/tree.svg", headers={"Accept-Language": language})
        assert answer.headers["content-type"] == "image/svg+xml; charset=utf-8"
        drawn = ET.fromstring(answer.content)  # noqa: S314 - it is our own
        title, desc = drawn.find(f"{SVG}title"), drawn.find(f"{SVG}desc")
        assert title is not None
        assert desc is not None
        assert drawn.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
        assert (desc.text or "").startswith(words)
        texts = ["".join(one.itertext()) for one in drawn.iter(f"{SVG}text")]
        assert "Enhet o-1 <&>" in texts
        assert "style" not in answer.text
    page = await hanna.get("/organisation/print")
    assert (page.status_code, "<svg" in page.text, "o-2" in page.text) == (200, True, True)


async def test_what_is_not_there_is_no_file(hanna: Someone, api: FakeApi) -> None:
    for path in ("tree.csv", "tree.svg", "print"):
        api.answers[("GET", TREE)] = Refused(404, "unit.not_in_effect", "There is none")
        assert (await hanna.get(f"/organisation/{path}?root=nowhere")).status_code == 404
        del api.answers[("GET", TREE)]
        assert (await hanna.get(f"/organisation/{path}")).status_code == 503
