"""The organisation desk's API: the tree on any day, as known on any day, and what a plan would change."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Protection
from contracts.person import UnitChange
from contracts.registry import AUDIT_RECORDED
from services.kernel.runner import Service
from services.orgtree.bootstrap import build
from services.orgtree.settings import Settings
from tests.integration.orgtree.harness import Hall, hall
from tests.integration.orgtree.test_placing import SOON, job
from tests.support.asking import FakeAuthenticator, ask
from tests.support.kernel import service_settings
from tests.support.office import TODAY, record

READS = "alvsund organisation:read"
PEOPLE = f"{READS} persons:read"
API = "/v1/organisation"


@pytest.fixture
async def here(fresh_database: str) -> AsyncIterator[Hall]:
    async with hall(fresh_database) as found:
        for unit, parent in (("1", None), ("2", None), ("10", "1"), ("100", "10"), ("101", "10")):
            await found.tell_unit(unit, f"Enhet {unit}", parent=parent)
        await found.converged()
        yield found


@pytest.fixture
async def service(here: Hall, fresh_database: str) -> AsyncIterator[Service]:
    del here
    built = build(Settings.model_validate(service_settings("orgtree", fresh_database, 5672).model_dump()))
    built.app.state.authenticator = FakeAuthenticator()
    await built.database.open()
    yield built
    await built.database.close()


async def got(service: Service, path: str, principal: str = READS) -> Any:
    status, body = await ask(service, "GET", f"{API}{path}", principal)
    assert status == 200, body
    return body


async def hire(here: Hall, unit: str, **values: Any) -> UUID:
    await here.tell(person := uuid4(), 1, record(job(unit)).model_copy(update=values))
    await here.converged()
    return person


async def test_the_tree_is_shown_as_it_is_was_and_will_be_and_as_it_was_known(here: Hall, service: Service) -> None:
    shown = await got(service, "/tree")
    assert [one["unit"] for one in shown["units"]] == ["1", "10", "100", "101", "2"]
    (known,) = (await here.rows("SELECT now()"))[0]
    plan = UnitChange(effective_from=SOON, parent="2")
    await here.tell_unit("10", "Enhet 10", 2, parent="1", changes=(plan,))
    await here.converged()
    assert (await got(service, f"/tree?on={SOON}&root=10"))["path"][0]["unit"] == "2"
    assert (await got(service, "/tree?root=10&depth=1"))["path"][0]["unit"] == "1"
    # events in this test are told as of a fixed instant: what is known before that is nothing
    assert (await got(service, "/tree?known=2026-12-31T00:00:00Z"))["units"] == []
    assert known is not None
    status, said = await ask(service, "GET", f"{API}/tree?known=2026-12-31T00:00:00", READS)
    assert (status, said["code"]) == (422, "instant.no_offset")
    assert (await ask(service, "GET", f"{API}/tree?on=2019-12-31&root=10", READS))[0] == 404
    assert (await ask(service, "GET", f"{API}/tree", "alvsund persons:read"))[0] == 403
    assert (await got(service, "/tree", "bergby organisation:read"))["units"] == []
    (coming,) = (await got(service, "/changes"))["items"]
    assert (coming["on"], coming["unit"], coming["fields"][0]["field"]) == (str(SOON), "10", "parent")
    assert (coming["fields"][0]["beforeName"], coming["fields"][0]["afterName"]) == ("Enhet 1", "Enhet 2")
    (hit,) = (await got(service, "/search?q=enhet+101"))["items"]
    assert [one["unit"] for one in hit["path"]] == ["1", "10"]


async def test_who_is_in_a_unit_is_for_who_may_read_people_and_audited_and_the_protected_are_hidden(
    here: Hall, service: Service
) -> None:
    head, hidden = await hire(here, "10"), await hire(here, "100", protection=Protection.PROTECTED)
    person = await hire(here, "100")
    await here.tell_unit("100", "Enhet 100", 2, parent="10", manager=head)
    await here.tell_unit("101", "Enhet 101", 2, parent="10", manager=hidden)
    await here.converged()
    unit = await got(service, "/units/100")
    assert (unit["members"], unit["people"], unit["leaders"][0]["person"]) == ([], 1, str(head))
    unit = await got(service, "/units/100", PEOPLE)
    assert [one["person"] for one in unit["members"]] == [str(person)]
    assert len((await got(service, "/units/100", f"{PEOPLE} persons:read_protected"))["members"]) == 2
    assert str(hidden) not in str(await got(service, "/units/101", PEOPLE))
    assert str(hidden) not in str(await got(service, "/tree", PEOPLE))
    rows = await here.rows(
        "SELECT body::jsonb -> 'data' ->> 'action', body::jsonb -> 'data' -> 'persons' FROM outbox WHERE type = %s",
        AUDIT_RECORDED,
    )
    assert ("unit.people_read", [str(person)]) in rows
    assert (await ask(service, "GET", f"{API}/units/999", READS))[0] == 404


async def test_a_plan_tells_day_by_day_what_moves_and_what_would_be_wrong_and_changes_nothing(
    here: Hall, service: Service
) -> None:
    for unit in ("100", "100", "101"):
        await hire(here, unit)
    later = SOON + timedelta(days=5)
    edits = [
        {"unit": "10", "parent": "2", "effectiveFrom": str(SOON)},
        {"unit": "100", "validTo": str(later - timedelta(days=1)), "successors": ["101"]},
        {"unit": "3", "name": "Ny", "validFrom": str(SOON), "parent": "4"},
    ]
    status, told = await ask(service, "POST", f"{API}/plan", READS, {"units": edits})
    assert status == 200, told
    first, second = told["days"]
    assert (first["on"], [(one["unit"], one["kinds"]) for one in first["units"]]) == (
        str(SOON),
        [("10", ["moved"]), ("100", ["moved"]), ("101", ["moved"])],
    )
    assert [(one["unit"], one["code"]) for one in first["problems"]] == [("3", "unit.parent_unknown")]
    assert (first["people"], first["movesPeople"], first["newlyLed"]) == (3, [], 0)
    assert {one["unit"]: one["people"] for one in first["units"]} == {"10": 0, "100": 2, "101": 1}
    assert (second["on"], second["movesPeople"]) == (str(later), [{"from": "100", "to": "101", "people": 2}])
    assert (await got(service, "/changes"))["items"] == []
    led = {"units": [{"unit": "10", "manager": str(uuid4())}]}
    assert (await ask(service, "POST", f"{API}/plan", READS, led))[1]["days"][0]["newlyLed"] == 3
    circle = {"units": [{"unit": "1", "parent": "100"}]}
    status, told = await ask(service, "POST", f"{API}/plan", READS, circle)
    assert {one["code"] for one in told["days"][0]["problems"]} == {"unit.circle"}
    bad = {"units": [{"unit": "1", "name": "Ett"}, {"unit": "9", "validFrom": "2027-01-01"}]}
    status, told = await ask(service, "POST", f"{API}/plan", READS, bad)
    assert (status, told["errors"][0]["field"]) == (422, "/body/units/1/name")


async def test_the_worklist_tells_who_waits_for_a_unit_and_which_closed_one_has_people(
    here: Hall, service: Service
) -> None:
    await hire(here, "100")
    await hire(here, "777")
    await here.tell_unit("100", "Enhet 100", 2, parent="10", valid_to=date(2027, 3, 1))
    await here.converged()
    found = await got(service, "/problems")
    told = [(one["unit"], one["code"], one["people"]) for one in found["items"]]
    assert ("100", "unit.closed_occupied", 1) in told
    assert [(one["unit"], one["people"]) for one in found["missing"]] == [("777", 1)]
    assert ("101", "unit.vacant", 0) in [
        (one["unit"], one["code"], one["people"]) for one in (await got(service, "/problems?every=true"))["items"]
    ]
    assert date(2027, 3, 1) < TODAY
