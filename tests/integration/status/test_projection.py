"""Any order, duplication and batching of what the others say ends in the same projection."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import orjson
import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import set_json_dumps

from contracts.codes import AccountState, Protection, Reason, StepState
from contracts.person import Name
from contracts.registry import PERSON_MOVER
from services.kernel.messaging.intake import Incoming
from tests.integration.status.world import (
    T0,
    World,
    account,
    audited,
    evaluation,
    gives,
    held,
    incoming,
    minutes,
    passed,
    person,
    placed,
    step,
    take,
    uid,
    unit,
)
from tests.support.kernel import database_url

TABLES = (
    "person",
    "person_revision",
    "unit",
    "account",
    "account_change",
    "place",
    "evaluation",
    "evaluated",
    "step",
    '"case"',
    "attention",
    "audit",
)


def story(organisation: str) -> list[Incoming]:
    """Anna is hired, corrected, renamed; Bo's access is held; all in the order in which it happened."""
    o = organisation
    later = T0 + timedelta(days=30)
    return [
        unit(organisation=o),
        unit(revision=2, organisation=o),
        person(organisation=o),
        evaluation(organisation=o),
        passed(organisation=o),
        account(state=AccountState.DISABLED, organisation=o),
        person(revision=2, reason=Reason.CORRECTION, protection=Protection.MARKED, organisation=o),
        evaluation(version=2, revision=2, steps=[step(state=StepState.RETRYING)], organisation=o),
        passed(epoch=2, revision=2, state=StepState.RETRYING, attempt=3, organisation=o),
        person(
            revision=3,
            reason=Reason.NAME_CHANGE,
            type_=PERSON_MOVER,
            case="anna/name",
            effective=later,
            name=Name(given="Anna", family="Ängström"),
            organisation=o,
        ),
        evaluation(
            version=3, revision=3, steps=[step(), step("account.renamed", StepState.PLANNED, due=later)], organisation=o
        ),
        account(version=2, user_name="anna.angstrom", organisation=o),
        person("bo", organisation=o),
        evaluation("bo", organisation=o),
        evaluation("bo", version=2, steps=[held()], gives=[gives("alla", "everybody")], organisation=o),
        passed("bo", epoch=3, state=StepState.PARKED, organisation=o),
        account("bo", groups=["alla"], licences=["E3"], organisation=o),
        person("cilla", organisation=o),
        evaluation("cilla", organisation=o),
        account("cilla", user_name="cilla.akesson", groups=["cilla"], organisation=o),
        person(
            "cilla", revision=2, reason=Reason.ERASED, type_=PERSON_MOVER, case="erased", erased=True, organisation=o
        ),
        account("cilla", version=2, user_name="cilla.akesson2", groups=["cilla"], organisation=o),
        placed(organisation=o),
        placed(version=2, where="200", others=["100"], organisation=o),
        placed("bo", where=None, organisation=o),
        audited(organisation=o),
    ]


TALLIES = {
    "SELECT organisation, count FROM person_tally": "SELECT organisation, count(*) FROM person GROUP BY 1",
    "SELECT organisation, day, kind, reason, protected, cancelled, count FROM case_tally WHERE count <> 0": (
        "SELECT organisation, (accepted_at AT TIME ZONE 'UTC')::date, kind, reason, protected, cancelled, count(*)"
        ' FROM "case" WHERE closed_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6'
    ),
    "SELECT organisation, kind, reason, protected, cancelled, count FROM closed_tally": (
        "SELECT organisation, kind, reason, protected, cancelled, count(*)"
        ' FROM "case" WHERE closed_at IS NOT NULL GROUP BY 1, 2, 3, 4, 5'
    ),
    "SELECT organisation, service, target, count FROM evaluation_tally WHERE count <> 0": (
        "SELECT organisation, service, target, count(*) FROM evaluation GROUP BY 1, 2, 3"
    ),
    "SELECT organisation, since, service, target, count FROM unsettled_tally": (
        "SELECT organisation, since, service, target, count(*) FROM (SELECT e.*, CASE WHEN p.person IS NULL"
        " OR e.blocked OR (e.record_generation, e.revision) < (p.generation, p.revision) THEN '-infinity'"
        " ELSE least(e.blocked_from, e.next_due) END AS since"
        " FROM evaluation e LEFT JOIN person p USING (organisation, person)) e WHERE since IS NOT NULL"
        " GROUP BY 1, 2, 3, 4"
    ),
    "SELECT organisation, day, kind, reason, protected, stuck, since, count FROM open_tally": (
        "SELECT organisation, (accepted_at AT TIME ZONE 'UTC')::date, kind, reason, protected, stuck,"
        " CASE WHEN stuck OR cancelled THEN '-infinity' ELSE date_trunc('minute', effective_at, 'UTC') END, count(*)"
        ' FROM "case" WHERE closed_at IS NULL AND (stuck OR retrying_since IS NULL) GROUP BY 1, 2, 3, 4, 5, 6, 7'
    ),
}
"""What is kept counted, and what counting finds."""


async def dump(conn: psycopg.AsyncConnection[tuple[Any, ...]], organisation: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for table in TABLES:
        cursor = await conn.execute(
            f"SELECT (to_jsonb(t) - 'organisation')::text FROM {table} t WHERE organisation = %s".encode(),
            (organisation,),
        )
        found[table] = sorted(row[0].replace(organisation, "o") for row in await cursor.fetchall())
    return found


async def project(url: str, organisation: str, batches: Sequence[Sequence[int]]) -> dict[str, list[str]]:
    """Take the story in, batch by batch, look, and leave nothing behind."""
    messages = story(organisation)
    async with await psycopg.AsyncConnection.connect(url) as conn:
        await conn.execute("SET TIME ZONE 'UTC'")
        await conn.execute(
            "INSERT INTO kernel.evaluator VALUES (%s, 'accounts', 'ldap', %s)", (organisation, T0 - timedelta(1))
        )
        for batch in batches:
            await take(conn, [messages[index] for index in batch])
        for tally, counted in TALLIES.items():
            differing = await conn.execute(
                f"(({tally}) EXCEPT ({counted})) UNION ALL (({counted}) EXCEPT ({tally}))".encode()
            )
            assert await differing.fetchall() == [], tally
        found = await dump(conn, organisation)
        await conn.rollback()
        return found


COUNT = len(story("ordnung"))


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[int]]:
    order = draw(st.permutations(range(COUNT)))
    again = draw(st.lists(st.integers(0, COUNT - 1), max_size=6))
    arrived = [*order, *again]
    cuts = sorted(draw(st.sets(st.integers(1, len(arrived) - 1), max_size=8)))
    return [arrived[a:b] for a, b in zip([0, *cuts], [*cuts, len(arrived)], strict=True)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delivered=deliveries())
def test_any_order_of_messages_gives_the_same_projection(status_url: str, delivered: list[list[int]]) -> None:
    set_json_dumps(json_dumps)
    url = database_url(status_url, "status")
    expected = asyncio.run(project(url, "ordnung", [range(COUNT)]))
    assert asyncio.run(project(url, "ordnung", delivered)) == expected


def json_dumps(value: object) -> str:
    """Dump as the kernel's Database does."""
    return orjson.dumps(value).decode()


async def test_the_story_ends_as_it_is_told(world: World) -> None:
    await world.says(*story("alvsund"))
    cases = {
        row[0]: row[1:]
        for row in await world.rows('SELECT case_id, reasons, closed_at, done_at, protected, stuck FROM "case"')
    }
    hire = cases[uid("anna/hire")]
    assert hire == (["hire", "correction"], minutes(31), minutes(11), False, False)
    assert cases[uid("anna/name")] == (["name_change"], None, None, False, False)
    assert cases[uid("bo/hire")] == (["hire"], minutes(11), minutes(11), False, False), "closed before the trouble"
    (bo,) = await world.rows("SELECT state, code, since FROM attention")
    assert bo == ("parked", "account.enabled", minutes(21))


async def test_a_replay_of_everything_changes_nothing(world: World) -> None:
    await world.says(*story("alvsund"))
    query = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {} t"
    before = [await world.rows(query.format(table)) for table in TABLES]
    await world.says(*story("alvsund"))
    for message in reversed(story("alvsund")):
        await world.says(message)
    assert [await world.rows(query.format(table)) for table in TABLES] == before


async def test_nothing_is_left_of_who_is_erased_but_codes_and_times(world: World) -> None:
    await world.says(*story("alvsund"))
    for table in TABLES:
        found = await world.rows(f"SELECT t::text FROM {table} t WHERE t::text ~* 'cilla|nr-cilla'")
        assert not found, table
    kept = 'SELECT reason, closed_at IS NOT NULL FROM "case" WHERE person = %s ORDER BY accepted_at'
    assert await world.rows(kept, uid("cilla")) == [("hire", True), ("erased", False)]


async def test_two_batches_with_halves_of_a_case_do_not_miss_each_other(world: World) -> None:
    for number in range(8):
        who = f"p{number}"
        await asyncio.gather(world.says(person(who), passed(who)), world.says(evaluation(who)))
    assert await world.rows('SELECT count(*) FROM "case" WHERE closed_at IS NOT NULL') == [(8,)]


async def test_two_organisations_with_the_same_person_stay_apart(world: World) -> None:
    await world.says(person(), person(organisation="bergby"), evaluation(organisation="bergby"))
    assert await world.rows('SELECT organisation, closed_at IS NULL FROM "case" ORDER BY 1') == [
        ("alvsund", True),
        ("bergby", False),
    ]


async def test_a_good_pass_ends_the_trouble(world: World) -> None:
    await world.says(person(), passed(state=StepState.PARKED))
    assert await world.rows('SELECT stuck FROM "case"') == [(True,)]
    await world.says(passed(epoch=2), evaluation(version=2))
    assert await world.rows("SELECT count(*) FROM attention") == [(0,)]
    assert await world.rows('SELECT stuck, closed_at IS NOT NULL FROM "case"') == [(False, True)]


async def test_protection_set_later_hides_earlier_cases(world: World) -> None:
    await world.says(person(), evaluation())
    await world.says(person(revision=2, reason=Reason.PROTECTION_CHANGED, case="p", protection=Protection.PROTECTED))
    assert await world.rows('SELECT DISTINCT protected FROM "case"') == [(True,)]


async def test_trouble_at_one_evaluator_stays_when_another_speaks(world: World) -> None:
    await world.says(person(), passed(state=StepState.PARKED))
    said = evaluation()
    data = said.event.data.model_copy(update={"service": "phones", "target": "operator"})
    await world.says(incoming(said.type, data, organisation="alvsund", at=said.event.time, key="phones"))
    assert await world.rows("SELECT service, state FROM attention") == [("accounts", "parked")]
    assert await world.rows('SELECT stuck FROM "case"') == [(True,)]


async def test_a_revision_judges_its_own_case_and_an_evaluation_every_open_one(world: World) -> None:
    await world.says(person(), evaluation(), person(revision=2, reason=Reason.TRANSFER, case="b"))
    judged = 'SELECT case_id = %s, closed_at IS NULL, xmin::text FROM "case" ORDER BY accepted_at'
    first = await world.rows(judged, uid("b"))
    assert [row[:2] for row in first] == [(False, False), (True, True)]
    await world.says(person(revision=3, reason=Reason.NAME_CHANGE, case="c"))
    assert (await world.rows(judged, uid("b")))[:2] == first, "nothing is written that a revision cannot have changed"
    await world.says(evaluation(version=3, revision=3))
    assert [row[1] for row in await world.rows(judged, uid("b"))] == [False, False, False]
