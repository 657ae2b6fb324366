"""What a manager sees: the people of the own units, whatever is asked, and nobody else."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from contracts.codes import Form, Protection, StepState
from contracts.person import Assignment, Employment
from services.kernel.clock import BUSINESS_NOW
from services.kernel.messaging.intake import Incoming
from services.kernel.security import Role, rights
from services.status.store import sight as sights
from services.status.store.sight import FEW
from tests.integration.status.conftest import READ, token
from tests.integration.status.world import World, audit, audited, evaluation, minutes, passed, person, step, uid, unit

OWN = " ".join(sorted(rights([Role.MANAGER])))
MALIN = token(scopes=OWN, person=uid("malin"))
LATER = datetime(2999, 1, 1, tzinfo=UTC)
Told = Callable[[int], Employment]
"""An employment by the business day, as an ordinal."""


def day(ordinal: int) -> date:
    return date.fromordinal(ordinal)


def placed(
    start: date = date(2020, 1, 1), end: date | None = None, *, at: str = "care", boss: str | None = None
) -> Assignment:
    return Assignment(unit=at, manager=uid(boss) if boss else None, valid_from=start, valid_to=end)


def employed(*assignments: Assignment, start: date = date(2020, 1, 1), **fields: Any) -> Employment:
    values: dict[str, Any] = {"id": uuid4(), "form": Form.PERMANENT, "valid_from": start, "assignments": assignments}
    return Employment.model_validate({**values, **fields})


def works(who: str, *employments: Employment, **fields: Any) -> Incoming:
    return person(who, employments=employments, **fields)


@pytest.fixture(params=[1, FEW], ids=["many", "few"], autouse=True)
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """People are looked up by their keys, or are too many for that: who is seen is the same."""
    monkeypatch.setattr(sights, "FEW", request.param)


@pytest.fixture
async def today(world: World) -> int:
    """The business day in Stockholm."""
    ((found,),) = await world.rows(f"SELECT ({BUSINESS_NOW} AT TIME ZONE 'Europe/Stockholm')::date")
    assert isinstance(found, date)
    return found.toordinal()


@pytest.fixture
async def town(world: World) -> World:
    """Malin manages care, above home care and night; Olle manages school. Everybody is hired and looked at."""
    await world.says(
        unit("town", manager="kerstin"),
        unit("care", parent="town", manager="malin"),
        unit("home", parent="care", manager="hassan"),
        unit("night", parent="home"),
        unit("school", parent="town", manager="olle"),
        *(works(who, employed(placed(at=at))) for who, at in PLACES.items()),
        works("lent", employed(placed(at="school", boss="malin"))),
    )
    await world.says(*(evaluation(who) for who in (*PLACES, "lent")))
    return world


PLACES = {"cia": "care", "hugo": "home", "nils": "night", "sara": "school", "tove": "town"}
OWN_PEOPLE = {"cia", "hugo", "nils", "lent"}


async def names(api: httpx2.AsyncClient, headers: dict[str, str], path: str = "/v1/persons", **query: Any) -> set[str]:
    answer = await api.get(path, params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return {one["name"].partition(" ")[0].lower() for one in answer.json()["items"]}


async def test_a_manager_sees_own_units_all_below_them_and_whoever_names_the_manager(
    api: httpx2.AsyncClient, town: World
) -> None:
    assert await names(api, MALIN) == OWN_PEOPLE
    assert await names(api, token(scopes=OWN, person=uid("hassan"))) == {"hugo", "nils"}
    assert await names(api, token(scopes=OWN, person=uid("kerstin"))) == {*PLACES, "lent"}
    assert await names(api, token(scopes=OWN, person=uid("cia"))) == set(), "who manages nobody sees nobody"


async def test_a_manager_of_two_merged_records_sees_the_staff_of_both_by_either(
    api: httpx2.AsyncClient, town: World
) -> None:
    await town.says(
        works("malin", employed(placed(at="town")), aliases=(uid("olle"),)),
        works("olle", employed(placed(at="town")), alias_of=uid("malin")),
    )
    for claim in ("malin", "olle"):
        assert await names(api, token(scopes=OWN, person=uid(claim))) == {*OWN_PEOPLE, "sara"}


async def test_somebody_elses_staff_is_not_there_whatever_is_asked(api: httpx2.AsyncClient, town: World) -> None:
    await town.says(evaluation("sara", 2, steps=[step(state=StepState.PARKED)]), passed("sara"))
    cases = {one["name"]: one for one in (await api.get("/v1/cases")).json()["items"]}
    outside = cases["Sara Åkesson"]
    unknown = str(uuid4())
    for found, missing in (
        (f"/v1/persons/{uid('sara')}", f"/v1/persons/{unknown}"),
        (f"/v1/persons/{uid('sara')}/timeline", f"/v1/persons/{unknown}/timeline"),
        (f"/v1/cases/{outside['id']}", f"/v1/cases/{unknown}"),
    ):
        assert (await api.get(found)).status_code == 200, "they are there for others"
        answers = [await api.get(path, headers=MALIN) for path in (found, missing)]
        assert {answer.status_code for answer in answers} == {404}
        first, second = ({**answer.json(), "instance": "", "trace": ""} for answer in answers)
        assert first == second
        own = found.replace(str(uid("sara")), str(uid("hugo"))).replace(outside["id"], cases["Hugo Åkesson"]["id"])
        assert (await api.get(own, headers=MALIN)).status_code == 200
    assert await names(api, MALIN, q="sara") == set()
    assert await names(api, MALIN, q="hugo") == {"hugo"}
    assert await names(api, MALIN, "/v1/cases") == OWN_PEOPLE
    assert await names(api, MALIN, "/v1/cases", person=str(uid("sara"))) == set()
    assert await names(api, MALIN, "/v1/attention") == await names(api, MALIN, "/v1/holds") == set()
    assert await names(api, token(), "/v1/attention") == {"sara"}


async def test_pages_of_a_narrowed_list_go_on_and_are_audited(api: httpx2.AsyncClient, town: World) -> None:
    shown: list[str] = []
    cursor = None
    while True:
        query = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await api.get("/v1/persons", params=query, headers=MALIN)).json()
        shown += [one["id"] for one in page["items"]]
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert sorted(shown) == sorted(str(uid(one)) for one in OWN_PEOPLE)
    lists = [record["persons"] for record in await audit(town) if record["action"] == "persons.listed"]
    assert sorted(one for persons in lists for one in persons) == sorted(shown)


async def test_figures_are_of_the_staff_alone(api: httpx2.AsyncClient, town: World) -> None:
    ahead = LATER + timedelta(days=1)
    await town.says(
        evaluation("sara", 2, steps=[step(state=StepState.HELD)], next_due=LATER),
        evaluation("nils", 2, steps=[step(state=StepState.PARKED)]),
        evaluation("hugo", 2, next_due=ahead),
    )
    summary = (await api.get("/v1/summary", params={"days": 366}, headers=MALIN)).json()
    cases = (await api.get("/v1/cases", headers=MALIN)).json()
    assert sum(one["count"] for one in summary["cases"]) == sum(one["count"] for one in cases["counts"]) == 4
    assert summary["leadTimes"] == [], "four are too few to tell of"
    assert (summary["work"]["expected"], summary["work"]["settled"]) == (4, 3)
    assert (summary["work"]["held"], summary["work"]["parked"]) == (0, 1)
    assert datetime.fromisoformat(summary["dueNext"]["at"]) == ahead
    whole = (await api.get("/v1/summary", params={"days": 366})).json()
    top = (await api.get("/v1/summary", params={"days": 366}, headers=token(scopes=OWN, person=uid("kerstin")))).json()
    assert {**top, "businessNow": ""} == {**whole, "businessNow": ""}, "whose staff is everybody sees everybody's"
    assert whole["leadTimes"]


SPANS: dict[str, tuple[Told, bool]] = {
    "works there": (lambda now: employed(placed()), True),
    "moved away a month ago": (
        lambda now: employed(placed(end=day(now - 31)), placed(day(now - 30), at="school")),
        False,
    ),
    "moved away, and is handed over": (
        lambda now: employed(placed(end=day(now - 30)), placed(day(now - 29), at="school")),
        True,
    ),
    "moves in later": (
        lambda now: employed(placed(end=day(now + 89), at="school"), placed(day(now + 90))),
        True,
    ),
    "starts later": (lambda now: employed(placed(day(now + 90)), start=day(now + 90)), True),
    "left thirty days ago": (lambda now: employed(placed(), valid_to=day(now - 30)), True),
    "left before that": (lambda now: employed(placed(), valid_to=day(now - 31)), False),
    "cancelled": (lambda now: employed(placed(), cancelled=True), False),
    "dismissed long ago": (
        lambda now: employed(placed(), ends_at=datetime.fromordinal(now - 40).replace(tzinfo=UTC)),
        False,
    ),
    "in a pool still": (
        lambda now: employed(
            placed(), valid_to=day(now - 90), lingers_until=datetime.fromordinal(now).replace(tzinfo=UTC)
        ),
        True,
    ),
    "of an assignment that nothing came after": (lambda now: employed(placed(end=day(now - 90))), True),
    "of an assignment that never came to be": (
        lambda now: employed(placed(at="school"), placed(day(now + 30)), valid_to=day(now + 10)),
        False,
    ),
    "elsewhere": (lambda now: employed(placed(at="school")), False),
    "named by the assignment": (lambda now: employed(placed(at="school", boss="malin")), True),
    "named by one that is over": (
        lambda now: employed(placed(end=day(now - 31), at="school", boss="malin"), placed(day(now - 30), at="school")),
        False,
    ),
}


@pytest.mark.parametrize("span", SPANS)
async def test_an_employment_is_followed_from_its_hire_until_thirty_days_after_its_end(
    api: httpx2.AsyncClient, town: World, today: int, span: str
) -> None:
    told, expected = SPANS[span]
    await town.says(works("eva", told(today)))
    assert await names(api, MALIN, q="eva") == ({"eva"} if expected else set())
    assert await names(api, token(), q="eva") == {"eva"}


async def test_days_are_counted_in_business_time(api: httpx2.AsyncClient, town: World, today: int) -> None:
    await town.says(works("eva", employed(placed(), valid_to=day(today + 10))))
    await town.rows("UPDATE kernel.clock SET clock_offset = '39 days' RETURNING true")
    assert "eva" in await names(api, MALIN)
    await town.rows("UPDATE kernel.clock SET clock_offset = '41 days' RETURNING true")
    assert "eva" not in await names(api, MALIN)


async def test_the_newest_record_decides_in_any_order(api: httpx2.AsyncClient, town: World) -> None:
    there, away = employed(placed()), employed(placed(at="school"))
    several = [employed(placed(at=at)) for at in ("care", "home", "town")]
    await town.says(works("eva", *several), works("eva", away, revision=2))
    assert "eva" not in await names(api, MALIN)
    await town.says(works("eva", there, revision=4))
    await town.says(works("eva", away, revision=3))
    assert "eva" in await names(api, MALIN)
    rows = await town.rows("SELECT unit, until::text FROM placement WHERE person = %s", uid("eva"))
    assert rows == [("care", "infinity")]


async def test_who_takes_a_unit_over_sees_it_and_who_had_it_does_not(api: httpx2.AsyncClient, town: World) -> None:
    olle = token(scopes=OWN, person=uid("olle"))
    await town.says(unit("care", 2, parent="town", manager="olle"))
    assert await names(api, olle) == {"sara", *OWN_PEOPLE}
    assert await names(api, MALIN) == {"lent"}, "whoever still names her"
    await town.says(unit("care", 3, parent="town"))
    assert await names(api, olle) == {"sara", "lent"}


async def test_a_unit_that_is_closed_gives_nobody_to_see_after_thirty_days(
    api: httpx2.AsyncClient, town: World, today: int
) -> None:
    await town.says(unit("home", 2, parent="care", manager="hassan", closed=day(today - 30)))
    assert await names(api, MALIN) == OWN_PEOPLE
    await town.says(unit("home", 3, parent="care", manager="hassan", closed=day(today - 31)))
    assert await names(api, MALIN) == {"cia", "lent"}
    assert await names(api, token(scopes=OWN, person=uid("hassan"))) == set()


async def test_units_that_are_each_others_parents_are_an_end(api: httpx2.AsyncClient, town: World) -> None:
    await town.says(unit("care", 2, parent="night", manager="malin"), unit("alone", parent="alone", manager="malin"))
    assert await names(api, MALIN) == OWN_PEOPLE


async def test_protected_staff_is_hidden_from_its_manager_too(api: httpx2.AsyncClient, town: World) -> None:
    await town.says(works("hugo", employed(placed()), revision=2, protection=Protection.MARKED))
    hidden = OWN_PEOPLE - {"hugo"}
    assert await names(api, MALIN) == await names(api, MALIN, "/v1/cases") == hidden
    reason = {**MALIN, "Stafett-Reason": "mitt eget folk"}
    assert await names(api, reason) == hidden
    assert (await api.get(f"/v1/persons/{uid('hugo')}", headers=reason)).status_code == 404


async def test_another_organisations_units_are_not_the_managers(api: httpx2.AsyncClient, town: World) -> None:
    await town.says(
        unit("care", organisation="bergby", manager="malin"),
        works("berit", employed(placed(boss="malin")), organisation="bergby"),
        works("bo", employed(placed()), organisation="bergby"),
    )
    assert await names(api, MALIN) == OWN_PEOPLE
    assert await names(api, token("bergby", OWN, uid("malin"))) == {"berit", "bo"}
    await town.says(unit("care", 2, organisation="bergby"))
    assert await names(api, token("bergby", OWN, uid("malin"))) == {"berit"}


async def test_who_the_token_does_not_name_sees_nobody(api: httpx2.AsyncClient, town: World) -> None:
    await town.says(unit("adrift"), works("eva", employed(placed(at="adrift"))))
    nobody = token(scopes=OWN)
    assert await names(api, nobody) == await names(api, nobody, "/v1/cases") == set()
    assert await names(api, nobody, "/v1/attention") == set()
    assert (await api.get(f"/v1/persons/{uid('cia')}", headers=nobody)).status_code == 404
    summary = (await api.get("/v1/summary", headers=nobody)).json()
    assert (summary["cases"], summary["work"]["expected"], summary.get("dueNext")) == ([], 0, None)


async def test_a_wider_right_is_not_narrowed_and_widens_nothing_else(api: httpx2.AsyncClient, town: World) -> None:
    everybody = {*PLACES, "lent"}
    both = token(scopes=" ".join(rights([Role.MANAGER, Role.IT_READ])), person=uid("malin"))
    assert await names(api, both) == await names(api, both, "/v1/cases") == everybody
    people = token(scopes=" ".join(rights([Role.MANAGER, Role.RECORDS])), person=uid("malin"))
    assert await names(api, people) == everybody
    assert await names(api, people, "/v1/cases") == OWN_PEOPLE


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/audit"),
        ("GET", "/v1/commands"),
        ("GET", f"/v1/commands/{UUID(int=1)}"),
        ("GET", "/v1/operations"),
        ("POST", "/v1/commands"),
        ("POST", "/v1/replays"),
        ("POST", "/v1/audit/glass"),
    ],
)
async def test_the_role_opens_nothing_else(api: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await api.request(method, path, headers=MALIN, json={} if method == "POST" else None)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope.missing")


async def test_names_in_the_audit_are_those_whom_the_reader_sees(api: httpx2.AsyncClient, town: World) -> None:
    for who in ("cia", "sara"):
        await town.says(audited(f"person.read.{who}", subject=str(uid(who)), at=minutes(1)))

    async def named(scopes: str) -> set[str | None]:
        found = await api.get("/v1/audit", headers=token(scopes=f"audit:read {scopes}", person=uid("malin")))
        return {one.get("name") for one in found.json()["items"]} - {None}

    assert await named("persons:read_own") == {"Cia Åkesson"}
    assert await named("persons:read") == {"Cia Åkesson", "Sara Åkesson"}
    assert await named("") == set()


async def test_a_command_is_about_whom_its_giver_sees(api: httpx2.AsyncClient, town: World) -> None:
    def body(who: str) -> dict[str, str]:
        return {"type": "reverify", "service": "accounts", "person": str(uid(who)), "reason": "prov"}

    narrowed = token(scopes=f"commands:write {OWN}", person=uid("malin"))
    assert (await api.post("/v1/commands", json=body("sara"), headers=narrowed)).status_code == 404
    assert (await api.post("/v1/commands", json=body("cia"), headers=narrowed)).status_code == 202
    assert (await api.post("/v1/commands", json=body("sara"), headers=token(scopes=READ))).status_code == 202
