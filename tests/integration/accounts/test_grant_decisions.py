"""What another hand took is given again or left by a person's word, over HTTP, on a real server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from contracts.codes import Protection
from contracts.person import Assignment
from contracts.registry import AUDIT_RECORDED, SERVICE_EVALUATED
from services.kernel.directory import Modification, Operation
from services.kernel.runner import Service
from tests.integration.accounts.harness import Town
from tests.integration.accounts.test_drift import compared
from tests.integration.accounts.test_drift_api import READS, WRITES, findings, service_on
from tests.integration.accounts.test_grants import HEAD, again, entitled, members, school
from tests.support.asking import ask
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

DECIDE = "/v1/drift/openldap/decide"
TAKEN, LEFT = "account.grant_taken_elsewhere", "account.grant_left"


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "policy").mkdir()
    async with school(slapd, fresh_database, tmp_path / "policy") as here:
        yield here


@pytest.fixture
async def service(alvsund: Town, slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Service]:
    del alvsund
    async with service_on(slapd, fresh_database, tmp_path) as built:
        yield built


async def robbed(here: Town, *groups: str, **more: Any) -> UUID:
    """Hire a head and have another hand take them out of groups, and a pass notice it."""
    person = uuid4()
    await here.tell(person, 1, record(employment(TODAY, assignments=HEAD)).model_copy(update=more))
    await here.converged()
    await by_hand(here, person, Operation.DELETE, *groups)
    await again(here, person)
    return person


async def by_hand(here: Town, person: UUID, operation: Operation, *groups: str) -> None:
    entry = await here.entry(person)
    assert entry is not None
    for group in groups:
        change = Modification(operation, "member", (entry.dn,))
        await here.directory.modify(f"cn={group},ou=groups,{here.base}", [change], subject="test")


async def told(here: Town, person: UUID) -> list[tuple[str, str | None, str | None]]:
    """Return state, reason and groups of the steps that were said last of groups and licences."""
    steps = (await here.said(SERVICE_EVALUATED, person))[-1]["steps"]
    return [
        (one["state"], problem.get("code"), problem.get("parameters", {}).get("group"))
        for one in steps
        if one["code"] == "account.entitled"
        for problem in (one["problem"] or {},)
    ]


def word(person: UUID, decision: str, attribute: str | None = None) -> dict[str, Any]:
    return {
        "decision": decision, "reason": "enligt beslut", "kind": "grant_taken", "person": str(person),
        "attribute": attribute,
    }  # fmt: skip


async def test_it_is_a_finding_as_soon_as_a_pass_meets_it_and_is_given_again(alvsund: Town, service: Service) -> None:
    person = await robbed(alvsund, "alla", "rektorer")
    assert await told(alvsund, person) == [("parked", TAKEN, "alla, rektorer")]
    found = await findings(service, query=f"?kind=grant_taken&person={person}")
    assert {one["attribute"] for one in found} == {"group:alla", "group:rektorer"}
    assert found[0]["decisions"] == ["reclaim", "accept"]
    assert (await findings(service, query=f"?person={uuid4()}")) == []
    # one of them by name
    status, body = await ask(service, "POST", DECIDE, WRITES, word(person, "reclaim", "group:alla"))
    assert (status, body) == (200, {"decided": 1, "lookedAt": 1})
    await alvsund.converged()
    assert await told(alvsund, person) == [("parked", TAKEN, "rektorer")]
    assert (await members(alvsund, "alla"), await members(alvsund, "rektorer")) == ({"anna.andersson"}, set())
    # and the rest
    assert (await ask(service, "POST", DECIDE, WRITES, word(person, "reclaim")))[0] == 200
    await alvsund.converged()
    assert await told(alvsund, person) == [("verified", None, None)]
    assert await members(alvsund, "rektorer") == {"anna.andersson"}
    assert await findings(service) == []
    status, body = await ask(service, "POST", DECIDE, WRITES, word(person, "reclaim"))
    assert (status, body["code"]) == (404, "drift.finding_unknown")
    # what we gave again is ours: the next hand that takes it is told anew
    await by_hand(alvsund, person, Operation.DELETE, "alla")
    await again(alvsund, person)
    assert await told(alvsund, person) == [("parked", TAKEN, "alla")]


async def test_what_is_left_is_not_ours_and_parks_nobody_until_it_is_taken_back(
    alvsund: Town, service: Service
) -> None:
    person = await robbed(alvsund, "rektorer")
    (found,) = await findings(service)
    path = f"/v1/drift/findings/{found['id']}/decide"
    assert (await ask(service, "POST", path, WRITES, {"decision": "accept", "reason": "spärrad"}))[0] == 200
    await alvsund.converged()
    assert await told(alvsund, person) == [("skipped", LEFT, "rektorer")]
    assert await alvsund.rows("SELECT state, problem FROM work WHERE kind = 'person'") == [("idle", None)]
    assert await alvsund.rows("SELECT value FROM granted") == [("alla",)]
    # it is shown as accepted, also after the target was compared, and counts no more
    assert await findings(service) == []
    await compared(alvsund)
    (left,) = await findings(service, query="?ignored=true")
    assert (left["decision"]["decision"], left["decision"]["reason"]) == ("accept", "spärrad")
    writes = await alvsund.writes()
    await again(alvsund, person)
    assert (await alvsund.writes(), len(await findings(service, query="?ignored=true"))) == (writes, 1)
    # the same word once more changes nothing
    assert (await ask(service, "POST", path, WRITES, {"decision": "accept", "reason": "spärrad"}))[0] == 200
    # a move away and back does not give it, for the word stands
    teacher = (Assignment(unit="100", title="Lärare", valid_from=TODAY),)
    for revision, assignments in ((2, teacher), (3, HEAD)):
        await alvsund.tell(person, revision, record(employment(TODAY, assignments=assignments)))
        await alvsund.converged()
        assert await members(alvsund, "rektorer") == set()
    assert (await ask(service, "POST", DECIDE, WRITES, word(person, "reclaim", "group:rektorer")))[0] == 200
    await alvsund.converged()
    assert await told(alvsund, person) == [("verified", None, None)]
    assert await members(alvsund, "rektorer") == {"anna.andersson"}
    assert await findings(service, query="?ignored=true") == []
    assert await alvsund.rows("SELECT 1 FROM decided") == []


async def test_what_another_hand_gives_after_it_was_left_stays_theirs(alvsund: Town, service: Service) -> None:
    person = await robbed(alvsund, "rektorer")
    assert (await ask(service, "POST", DECIDE, WRITES, word(person, "accept")))[0] == 200
    await alvsund.converged()
    await by_hand(alvsund, person, Operation.ADD, "rektorer")
    teacher = (Assignment(unit="100", title="Lärare", valid_from=TODAY),)
    await alvsund.tell(person, 2, record(employment(TODAY, assignments=teacher)))
    await alvsund.converged()
    assert await members(alvsund, "rektorer") == {"anna.andersson"}


async def test_what_another_hand_gives_back_is_no_finding_any_more(alvsund: Town, service: Service) -> None:
    person = await robbed(alvsund, "alla")
    await by_hand(alvsund, person, Operation.ADD, "alla")
    await again(alvsund, person)
    assert (await entitled(alvsund, person))["state"] == "verified"
    assert await findings(service) == []


async def test_an_account_made_anew_has_what_the_deleted_one_was_given_but_not_what_was_taken_from_it(
    alvsund: Town, service: Service
) -> None:
    person = await robbed(alvsund, "rektorer")
    gone = await alvsund.entry(person)
    assert gone is not None
    await by_hand(alvsund, person, Operation.DELETE, "alla")
    await alvsund.directory.delete(gone.dn, subject="test")
    await again(alvsund, person)
    assert await alvsund.entry(person) is not None
    assert await members(alvsund, "alla") == {"anna.andersson"}
    assert await members(alvsund, "rektorer") == set(), "a privilege is not restored before a person says so"
    assert await told(alvsund, person) == [("parked", TAKEN, "rektorer")]
    assert {one["attribute"] for one in await findings(service)} == {"group:rektorer"}


async def test_the_word_ends_with_the_account(alvsund: Town, service: Service) -> None:
    person = await robbed(alvsund, "rektorer")
    assert (await ask(service, "POST", DECIDE, WRITES, word(person, "accept")))[0] == 200
    await alvsund.converged()
    job = employment(TODAY - timedelta(days=900), TODAY - timedelta(days=800))
    await alvsund.tell(person, 2, record(job))
    await alvsund.converged()
    last = TODAY + timedelta(days=40)
    await alvsund.at(datetime(last.year, last.month, last.day, 11, tzinfo=UTC))
    assert await alvsund.entry(person) is None
    assert await alvsund.rows("SELECT 1 FROM decided") == []
    assert await findings(service, query="?ignored=true") == []


async def test_what_is_missing_and_what_was_taken_are_both_told_and_what_comes_is_given(
    alvsund: Town, service: Service
) -> None:
    person, ghost = uuid4(), (Assignment(unit="100", title="Spöke", valid_from=TODAY),)
    await alvsund.tell(person, 1, record(employment(TODAY, assignments=ghost)))
    await alvsund.converged()
    await by_hand(alvsund, person, Operation.DELETE, "alla")
    await again(alvsund, person)
    assert await told(alvsund, person) == [
        ("waiting", "account.group_missing", "finns-inte"),
        ("parked", TAKEN, "alla"),
    ]
    assert await alvsund.rows("SELECT state FROM work WHERE kind = 'person'") == [("waiting",)]
    assert len(await findings(service)) == 1


async def test_a_comparison_finds_what_others_gave_and_has_looked_at_whom_they_took_from(
    alvsund: Town, service: Service
) -> None:
    teacher = (Assignment(unit="100", title="Lärare", valid_from=TODAY),)
    head, other = uuid4(), uuid4()
    await alvsund.tell(head, 1, record(employment(TODAY, assignments=HEAD)))
    await alvsund.tell(other, 1, record(employment(TODAY, assignments=teacher)))
    await alvsund.converged()
    assert await compared(alvsund) == set()
    # policy gives nobody here this one, so it is not ours to tell of
    await by_hand(alvsund, other, Operation.ADD, "rektorer", "facket")
    await by_hand(alvsund, head, Operation.DELETE, "alla")
    await compared(alvsund)
    await alvsund.converged()
    assert await told(alvsund, head) == [("parked", TAKEN, "alla")]
    entry = await alvsund.entry(other)
    assert entry is not None
    found = {(one["kind"], one["person"], one["attribute"], one["object"]) for one in await findings(service)}
    assert found == {
        ("grant_taken", str(head), "group:alla", str(head)),
        ("grant_given", str(other), "group:rektorer", entry.first("entryUUID")),
    }
    assert "rektorer" in str(await findings(service, query="?kind=grant_given"))
    assert len(await members(alvsund, "rektorer") or ()) == 2, "it is left"
    # it is found once, and closed when it is no more
    await by_hand(alvsund, other, Operation.DELETE, "rektorer")
    assert {one[0] for one in await compared(alvsund)} == {"grant_taken"}


async def test_only_who_may_write_targets_decides_and_it_is_audited(alvsund: Town, service: Service) -> None:
    person = await robbed(alvsund, "alla")
    hidden = await robbed(alvsund, "rektorer", protection=Protection.PROTECTED)
    for principal in ("alvsund persons:read", READS):
        assert (await ask(service, "POST", DECIDE, principal, word(person, "reclaim")))[0] == 403
    assert (await ask(service, "POST", DECIDE, "bergby targets:write", word(person, "reclaim")))[0] == 404
    for someone in (hidden, uuid4()):
        assert (await ask(service, "POST", DECIDE, WRITES, word(someone, "reclaim")))[0] == 404
    assert (await ask(service, "POST", DECIDE, WRITES, word(person, "ignore")))[0] == 409
    assert (await ask(service, "POST", DECIDE, f"{WRITES} persons:read_protected", word(hidden, "accept")))[0] == 200
    # of many people, only by who repeats how many
    everybody = {name: value for name, value in word(person, "reclaim").items() if name != "person"}
    status, body = await ask(service, "POST", DECIDE, WRITES, everybody)
    assert (status, body["matches"]) == (409, 1)
    assert (await ask(service, "POST", DECIDE, WRITES, {**everybody, "matches": 1}))[0] == 200
    said = await alvsund.rows(
        "SELECT body::jsonb -> 'data' ->> 'reason', body::jsonb -> 'data' -> 'persons',"
        " body::jsonb -> 'data' -> 'parameters' FROM outbox WHERE type = %s"
        " AND body::jsonb -> 'data' ->> 'action' = 'drift.decided' ORDER BY seq",
        AUDIT_RECORDED,
    )
    parameters = {"count": 1, "target": "openldap"}
    assert said == [
        ("enligt beslut", [str(hidden)], {**parameters, "decision": "accept", "grants": "group:rektorer"}),
        ("enligt beslut", [str(person)], {**parameters, "decision": "reclaim", "grants": "group:alla"}),
    ]
