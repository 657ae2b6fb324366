"""The organisation desk, with orgtree and ingestion as the test says they answer."""

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from re import findall
from typing import Any
from uuid import uuid4

import pytest

from services.portal.api.organisation import planning
from services.portal.bootstrap import Portal
from services.portal.domain.answers import Refused
from services.portal.domain.sessions import masked
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
        document = await hanna.get("/organisation/tree.pdf", headers={"Accept-Language": language})
        assert document.headers["content-disposition"] == 'attachment; filename="organisation-2026-11-23.pdf"'
        assert document.content.startswith(b"%PDF-1.7")
        assert b"<pdfuaid:part>1<" in document.content
        assert f"<rdf:li>{language}</rdf:li>".encode() in document.content
        again = await hanna.get("/organisation/tree.pdf", headers={"Accept-Language": language})
        assert document.content == again.content
    page = await hanna.get("/organisation/print")
    assert (page.status_code, "<svg" in page.text, "o-2" in page.text) == (200, True, True)


async def test_what_is_not_there_is_no_file(hanna: Someone, api: FakeApi) -> None:
    for path in ("tree.csv", "tree.svg", "tree.pdf", "print"):
        api.answers[("GET", TREE)] = Refused(404, "unit.not_in_effect", "There is none")
        assert (await hanna.get(f"/organisation/{path}?root=nowhere")).status_code == 404
        del api.answers[("GET", TREE)]
        assert (await hanna.get(f"/organisation/{path}")).status_code == 503


def side(*path: str, **more: Any) -> dict[str, Any]:
    return {"name": f"Enhet {path[-1]}", "parent": None, "path": list(path), **more}


MOVED = {
    "unit": "o-1", "name": "Enhet o-1", "kinds": ["moved", "leaders"], "people": 5,
    "before": side("o-0", "o-1"), "after": side("o-0", "o-2", "o-1", manager={"person": None, "name": None}),
}  # fmt: skip
FOLLOWS = {
    "unit": "o-11", "name": "Enhet o-11", "kinds": ["moved"], "people": 1,
    "before": side("o-0", "o-1", "o-11"), "after": side("o-0", "o-2", "o-1", "o-11"),
}  # fmt: skip
NEW = {
    "unit": "o-9", "name": "=Ny <b>", "kinds": ["created"], "before": None, "after": side("o-0", "o-9", name="=Ny <b>")
}  # fmt: skip
DAY = {
    "on": "2027-01-01", "units": [MOVED, FOLLOWS, NEW], "people": 6, "newlyLed": 6,
    "problems": [{"unit": "o-1", "name": "Enhet o-1", "code": "unit.manager_gone", "other": None}],
    "movesPeople": [{"from": "o-3", "to": None, "people": 4}],
}  # fmt: skip
PLAN = "/v1/organisation/plan"
TEXT = "unit;effectiveFrom;parent;name;validFrom\no-1;2027-01-01;o-2;;\no-9;;o-0;=Ny <b>;2027-01-01\n"
WORDS = [
    {"externalId": "o-1", "effectiveFrom": "2027-01-01", "parent": "o-2"},
    {"externalId": "o-9", "parent": "o-0", "name": "=Ny <b>", "validFrom": "2027-01-01"},
]


def keeps_units_here(portal: Portal, organisation: str = "alvsund") -> None:
    """Let an organisation keep its units here, as a line in the table of organisations does."""
    pages = portal.app.state.doors.pages
    kept = replace(pages.organisations[organisation], organisation_data="stafett")
    pages.organisations = {**pages.organisations, organisation: kept}


def field(page: str, name: str) -> str:
    return unescape(findall(rf'name="{name}" value="([^"]*)"', page)[0])


@pytest.fixture
def planned(api: FakeApi) -> FakeApi:
    api.answers[("GET", TREE)] = town(unit("o-11", 3, "o-1"))
    api.answers[("POST", PLAN)] = {"days": [DAY]}
    verdicts = [{"index": index, "status": "accepted", "unit": "x"} for index in range(2)]
    api.answers[("POST", "/v1/units/plan")] = {"units": verdicts, "counts": {}}
    api.answers[("POST", "/v1/units/all")] = {"units": verdicts, "counts": {}}
    return api


async def test_a_plan_is_shown_by_what_it_changes_and_changes_nothing(hanna: Someone, planned: FakeApi) -> None:
    assert 'name="file"' in (await hanna.get("/organisation/plan")).text
    page = await hanna.send("/organisation/plan", text=TEXT)
    assert page.status_code == 200
    for words in (
        "1 Jan 2027",
        "the manager does not work here",
        "4 people",
        "comes along",
        "HR masters",
        "not shown",
        "Row 2",
    ):
        assert words.casefold() in page.text.casefold(), words
    assert ("=Ny <b>" in page.text, "=Ny &lt;b&gt;" in page.text) == (False, True)
    assert "/organisation/plan/confirm" not in page.text
    assert {call.path for call in planned.calls} == {PLAN, TREE}
    sent = next(call.body for call in planned.calls if call.path == PLAN)
    assert sent == {"units": [{("unit" if k == "externalId" else k): v for k, v in one.items()} for one in WORDS]}
    drawn = findall(r'<rect class="d-box ([a-z-]+)"', page.text)
    assert sorted(drawn) == ["d-created", "d-moved", "d-moved"], "a unit that only follows has no mark"


async def test_a_plan_is_uploaded_and_what_cannot_be_read_is_named(hanna: Someone, planned: FakeApi) -> None:
    form = {"csrf": masked(hanna.session.csrf)}
    sent = await hanna.post("/organisation/plan", data=form, files={"file": ("p.json", b'[{"unit": "o-1"}]')})
    assert sent.status_code == 200
    assert [call.body for call in planned.calls if call.path == PLAN] == [{"units": [{"unit": "o-1"}]}]
    for text, words in (("unit;l\xf6n\n", "lön"), ("unit\n", "no edits"), ("unit;name\no-1;x;y\n", "Row 2")):
        wrong = await hanna.post("/organisation/plan", data=form, files={"file": ("p.csv", text.encode("latin-1"))})
        assert (wrong.status_code, words in wrong.text) == (422, True), words
    assert (await hanna.post("/organisation/plan", data={"csrf": "x"})).status_code == 403


async def test_what_orgtree_refuses_is_told_by_row_and_column(hanna: Someone, planned: FakeApi) -> None:
    place = {"/body/units/1/validFrom": "see the code"}
    planned.answers[("POST", PLAN)] = Refused(
        422, "unit.start_missing", "The plan cannot be", errors=place, codes=["unit.start_missing"]
    )
    page = await hanna.send("/organisation/plan", text=TEXT)
    assert page.status_code == 422
    for words in (">3</th>", "validFrom", "The unit has no start", "o-1;2027-01-01"):
        assert words in page.text, words


async def test_a_plan_is_taken_along_as_a_table_and_as_pictures(hanna: Someone, planned: FakeApi) -> None:
    packed = field((await hanna.send("/organisation/plan", text=TEXT)).text, "plan")
    answer = await hanna.send("/organisation/plan/table", plan=packed)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [(row["unit"], row["what"]) for row in rows] == [
        ("o-1", "moves, somebody else leads"), ("o-11", "comes along"), ("o-9", "new"), ("o-1", "")
    ]  # fmt: skip
    assert (rows[0]["pathAfter"], rows[0]["managerAfter"]) == ("o-0 / o-2 / o-1", "(withheld)")
    assert (rows[2]["name"], rows[3]["problem"]) == ("'=Ny <b>", "the manager does not work here")
    assert (rows[3]["code"], rows[3]["row"], rows[0]["row"]) == ("unit.manager_gone", "2", "")
    for which, marked in (("before", 1), ("after", 2)):
        drawn = await hanna.send("/organisation/plan/picture", plan=packed, picture=f"{which} 2027-01-01")
        assert f"plan-2027-01-01-{which}.svg" in drawn.headers["content-disposition"]
        root = ET.fromstring(drawn.content)  # noqa: S314 - it is our own
        texts = " ".join("".join(one.itertext()) for one in root.iter(f"{SVG}text"))
        assert ("=Ny <b>" in texts) is (which == "after")
        assert len(findall(r"d-box d-", drawn.text)) == marked
    assert (await hanna.send("/organisation/plan/picture", plan=packed, picture="after 2027-01-02")).status_code == 404
    planned.answers[("POST", PLAN)] = Refused(422, "request.invalid", "No")
    assert (await hanna.send("/organisation/plan/table", plan="[")).status_code == 422


async def test_a_plan_is_applied_whole_after_its_numbers_and_a_reason(
    lonely: Portal, hanna: Someone, planned: FakeApi
) -> None:
    keeps_units_here(lonely)
    packed = field((await hanna.send("/organisation/plan", text=TEXT)).text, "plan")
    asked = await hanna.send("/organisation/plan/confirm", plan=packed)
    assert asked.status_code == 200
    for number in ("<dd>3</dd>", "<dd>6</dd>", "1 new", "1 thing to look at"):
        assert number in asked.text, number
    key = field(asked.text, "key")
    without = await hanna.send("/organisation/plan/apply", plan=packed, key=key, reason=" ")
    assert (without.status_code, field(without.text, "key")) == (422, key)
    assert "/v1/units/all" not in {call.path for call in planned.calls}
    done = await hanna.send("/organisation/plan/apply", plan=packed, key=key, reason="Beslut av nämnden")
    assert (done.status_code, done.headers["location"]) == (303, "/organisation/changes")
    (call,) = [one for one in planned.calls if one.path == "/v1/units/all"]
    assert (call.body, call.key) == ({"units": WORDS, "reason": "Beslut av nämnden"}, key)


async def test_a_plan_of_which_a_word_cannot_be_is_not_applied(
    lonely: Portal, hanna: Someone, planned: FakeApi
) -> None:
    keeps_units_here(lonely)
    packed = field((await hanna.send("/organisation/plan", text=TEXT)).text, "plan")
    error = {"field": "/body/units/0/parent", "code": "unit.cycle", "reason": "from 2027"}
    wrong = {"index": 0, "status": "rejected", "code": "unit.cycle", "errors": [error]}
    planned.answers[("POST", "/v1/units/plan")] = {"units": [wrong], "counts": {}}
    page = await hanna.send("/organisation/plan", text=TEXT)
    assert ("below itself" in page.text, "/organisation/plan/confirm" in page.text) == (True, False)
    asked = await hanna.send("/organisation/plan/confirm", plan=packed)
    assert (asked.status_code, 'name="reason"' in asked.text) == (422, False)
    # it was well when it was asked for, and is not any more
    planned.answers[("POST", "/v1/units/plan")] = {"units": [], "counts": {}}
    refused = Refused(422, "unit.cycle", "No", errors={error["field"]: "from 2027"}, codes=["unit.cycle"])
    planned.answers[("POST", "/v1/units/all")] = refused
    done = await hanna.send("/organisation/plan/apply", plan=packed, key=str(uuid4()), reason="Beslut")
    assert (done.status_code, ">2</th>" in done.text, "Nothing was recorded" in done.text) == (422, True, True)
    del planned.answers[("POST", "/v1/units/all")]
    key = str(uuid4())
    unsure = await hanna.send("/organisation/plan/apply", plan=packed, key=key, reason="Beslut")
    assert ("it is not known whether it was done" in unsure.text, field(unsure.text, "key")) == (True, key)


async def test_who_may_not_and_where_hr_masters_units_nothing_is_applied(
    lonely: Portal, planned: FakeApi, clock: Clock, hanna: Someone
) -> None:
    form = {"plan": '[[2, {"unit": "o-1"}]]', "key": str(uuid4()), "reason": "Beslut"}
    for act in ("confirm", "apply"):
        page = await hanna.send(f"/organisation/plan/{act}", **form)
        assert (page.status_code, "HR" in page.text) == (422, True)
    keeps_units_here(lonely)
    reader = await signed_in(lonely, planned, clock, "auditor")
    shown = await reader.send("/organisation/plan", text=TEXT)
    assert (shown.status_code, "not apply them" in shown.text) == (200, True)
    for act in ("confirm", "apply"):
        assert (await reader.send(f"/organisation/plan/{act}", **form)).status_code == 403
    await reader.client.aclose()
    assert not {"/v1/units/all", "/v1/units/plan"} & {call.path for call in planned.calls}


async def test_a_plan_has_a_largest_size(hanna: Someone, api: FakeApi) -> None:
    large = await hanna.send("/organisation/plan/table", plan="x" * (planning.CARRIED + 1))
    assert (large.status_code, api.calls) == (413, [])


UNIT = "/v1/organisation/units/o-1"
KNOWN = {"unit": "o-1", "name": "Enhet o-1", "inEffect": True, "path": [], "validFrom": "2020-01-01"}


@pytest.fixture
def kept(lonely: Portal, planned: FakeApi) -> FakeApi:
    keeps_units_here(lonely)
    planned.answers[("GET", UNIT)] = KNOWN
    for new in ("o-9", "b%2F9"):
        planned.answers[("GET", f"/v1/organisation/units/{new}")] = Refused(404, "unit.unknown", "There is none")
    planned.answers[("POST", "/v1/units/plan")] = {"units": [], "counts": {}}
    return planned


async def test_where_hr_masters_units_the_page_says_so_and_records_nothing(hanna: Someone, planned: FakeApi) -> None:
    page = await hanna.get("/organisation/record")
    assert (page.status_code, "HR masters the units here" in page.text, "<form class=\"card" in page.text) == (
        200, True, False
    )  # fmt: skip
    assert (await hanna.send("/organisation/record", what="create", unit="o-9")).status_code == 422
    planned.answers[("GET", UNIT)] = KNOWN
    unit_page = await hanna.get("/organisation/units/o-1")
    assert ("HR masters" in unit_page.text, "/organisation/record?" in unit_page.text) == (True, False)
    assert not [call for call in planned.calls if call.method == "POST"]


@pytest.mark.parametrize(
    ("form", "word"),
    [
        (
            {
                "what": "create",
                "unit": " b/9 ",
                "name": "Ny",
                "validFrom": "2027-01-01",
                "parent": "",
                "site": "Torget",
            },
            {"externalId": "b/9", "name": "Ny", "validFrom": "2027-01-01", "site": "Torget"},
        ),
        ({"what": "rename", "name": "Söder"}, {"name": "Söder", "effectiveFrom": "2027-01-01"}),
        ({"what": "move", "parent": "o-2"}, {"parent": "o-2", "effectiveFrom": "2027-01-01"}),
        ({"what": "move", "parent": ""}, {"parent": None, "effectiveFrom": "2027-01-01"}),
        ({"what": "manager", "manager": BOSS}, {"manager": BOSS, "effectiveFrom": "2027-01-01"}),
        ({"what": "acting", "actingManager": "-"}, {"actingManager": None, "effectiveFrom": "2027-01-01"}),
        (
            {"what": "close", "validTo": "2027-05-31", "successors": "o-2 o-3"},
            {"validTo": "2027-05-31", "successors": ["o-2", "o-3"]},
        ),
    ],
)
async def test_each_deed_is_asked_for_by_its_numbers_and_recorded_with_a_reason(
    hanna: Someone, kept: FakeApi, form: dict[str, str], word: dict[str, Any]
) -> None:
    what = form["what"]
    page = await hanna.get(f"/organisation/record?what={what}&unit=o-1&person={BOSS}")
    assert (page.status_code, 'action="/organisation/record"' in page.text) == (200, True)
    asked = await hanna.send("/organisation/record", **{"unit": "o-1", "effectiveFrom": "2027-01-01", **form})
    assert (asked.status_code, "<dd>6</dd>" in asked.text) == (200, True), asked.text
    carried = {"plan": field(asked.text, "plan"), "key": field(asked.text, "key")}
    done = await hanna.send("/organisation/plan/apply", **carried, reason="Beslut")
    assert done.status_code == 303
    (call,) = [one for one in kept.calls if one.path == "/v1/units/all"]
    assert call.body == {"units": [{"externalId": "o-1", **word}], "reason": "Beslut"}


@pytest.mark.parametrize(
    ("form", "wrong"),
    [
        ({"what": "create", "name": "Ny"}, {"unit", "validFrom"}),
        ({"what": "create", "unit": "o-1", "name": "Ny", "validFrom": "2027-01-01"}, {"unit"}),
        ({"what": "rename", "unit": "o-1", "effectiveFrom": "2027-02-31"}, {"name", "effectiveFrom"}),
        ({"what": "manager", "unit": "o-1", "manager": "Åsa", "effectiveFrom": "2027-01-01"}, {"manager"}),
        ({"what": "close", "unit": "o-1", "validTo": ""}, {"validTo"}),
    ],
)
async def test_what_is_wrong_is_named_at_its_field(
    hanna: Someone, kept: FakeApi, form: dict[str, str], wrong: set[str]
) -> None:
    page = await hanna.send("/organisation/record", **form)
    assert (page.status_code, {*findall(r'<p id="(\w+)-wrong"', page.text)}) == (422, wrong)
    assert not [call for call in kept.calls if call.path != "/v1/units/all" and call.method == "POST"]


async def test_what_the_services_refuse_stands_at_its_field_too(hanna: Someone, kept: FakeApi) -> None:
    error = {"field": "/body/units/0/parent", "code": "unit.cycle", "reason": "x"}
    other = {"field": "/body/units/0/externalId", "code": "event.invalid", "reason": "x"}
    kept.answers[("POST", "/v1/units/plan")] = {
        "units": [{"index": 0, "status": "rejected", "code": "unit.cycle", "errors": [error, other]}], "counts": {}
    }  # fmt: skip
    form = {"what": "move", "unit": "o-1", "parent": "o-11", "effectiveFrom": "2027-01-01"}
    page = await hanna.send("/organisation/record", **form)
    assert (page.status_code, "below itself" in page.text, 'value="o-11"' in page.text) == (422, True, True)
    assert findall(r'<p id="(\w+)-wrong"', page.text) == ["parent"]


async def test_a_manager_is_found_by_name(hanna: Someone, kept: FakeApi) -> None:
    found = {"id": BOSS, "name": "Åsa <b>", "userNames": ["asa01"], "protection": "none", "revision": 1}
    kept.answers[("GET", "/v1/persons")] = {"items": [found], "cursor": None}
    page = await hanna.get("/organisation/record?what=manager&unit=o-1&q=%C3%A5sa")
    assert f"person={BOSS}" in page.text
    kept.answers[("GET", f"/v1/persons/{BOSS}")] = {"name": "Åsa <b>"}
    chosen = await hanna.get(f"/organisation/record?what=manager&unit=o-1&person={BOSS}")
    assert ("Åsa &lt;b&gt;" in chosen.text, field(chosen.text, "manager")) == (True, BOSS)


async def test_who_may_not_records_nothing(lonely: Portal, kept: FakeApi, clock: Clock) -> None:
    reader = await signed_in(lonely, kept, clock, "auditor")
    assert (await reader.get("/organisation/record")).status_code == 403
    assert (await reader.send("/organisation/record", what="rename", unit="o-1")).status_code == 403
    assert "/organisation/record" not in (await reader.get("/organisation/units/o-1")).text
    await reader.client.aclose()


async def test_a_unit_that_nobody_knows_is_not_changed(hanna: Someone, kept: FakeApi) -> None:
    assert (await hanna.get("/organisation/record?what=move&unit=o-9")).status_code == 404
    form = {"what": "rename", "unit": "o-9", "name": "Ny", "effectiveFrom": "2027-01-01"}
    assert (await hanna.send("/organisation/record", **form)).status_code == 404
    assert (await hanna.send("/organisation/record", what="burn", unit="o-1")).status_code == 422
