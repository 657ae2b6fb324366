"""Activation on real directories: a code is told once, sets one password in every target, and then never again."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest
from fastapi import FastAPI
from typing_extensions import override

from contracts.codes import Protection, Reason
from contracts.person import ERASED, Access, CoreRecord
from contracts.registry import AUDIT_RECORDED, PERSON_LEAVER, PERSON_MOVER
from services.accounts.adapters.openldap import OpenLdapAccounts
from services.accounts.api import activation
from services.accounts.domain.activation import WRONG_TRIES, make
from services.accounts.handlers.activating import Activations
from services.accounts.handlers.gate import Gate
from services.accounts.handlers.prospects import Prospects
from services.accounts.handlers.situation import TABLE
from services.accounts.ports import Found, Lookup
from services.accounts.store import activations
from services.kernel import problems
from services.kernel.failures import Unavailable
from services.kernel.gate import Mode, Rules
from services.kernel.policy import Decision, PolicyBook, PolicyRefused
from services.kernel.retention.log import EVERY
from services.kernel.retention.purge import Purge
from services.kernel.security import Principal
from tests.integration.accounts.harness import SECRET, TARGET, Town, town
from tests.integration.accounts.test_targets import OTHER, elsewhere
from tests.support.counting import CountedDatabase, hashing
from tests.support.kernel import eventually
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

CODE_KEY = "what activation codes are hashed with, in tests"
LOGIN = "anna.andersson"
IT = "alvsund accounts:activate"
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 11, tzinfo=UTC)


class Bearer:
    """Takes the header for the principal: organisation, scopes, and who the bearer is after an @."""

    async def principal(self, authorization: str | None) -> Principal:
        words, _, person = (authorization or "").partition(" @")
        organisation, *scopes = words.split()
        return Principal("urn:test:it", organisation, frozenset(scopes), person=UUID(person) if person else None)


class Broken(PolicyBook):
    """A table that cannot answer."""

    broken = False

    @override
    def decide(self, table: str, organisation: str, state: Mapping[str, object]) -> Decision:
        if self.broken:
            raise PolicyRefused(table, "-", "no row matches")
        return super().decide(table, organisation, state)


class Outage(OpenLdapAccounts):
    """A directory that can be away, or whose entries another one writes."""

    away = synced = False
    hold: asyncio.Event | None = None

    @override
    async def find(self, lookup: Lookup, *, deadline: float | None = None) -> Found:
        if self.away:
            raise Unavailable("directory.unavailable")
        if self.hold is not None:
            await self.hold.wait()
        found = await super().find(lookup, deadline=deadline)
        return replace(found, mine=found.mine and replace(found.mine, synced=self.synced))


@dataclass
class Desk:
    """The routes on a town with two targets."""

    town: Town
    targets: dict[str, Outage]
    client: httpx2.AsyncClient
    policy: Broken
    activating: Activations

    async def issue(self, person: UUID, bearer: str = IT, **body: Any) -> httpx2.Response:
        path, said = f"/v1/accounts/{person}/activation", {"reason": "börjar i dag", **body}
        return await self.client.post(path, json=said, headers={"Authorization": bearer})

    async def code(self, person: UUID) -> str:
        answer = await self.issue(person)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["code"])

    async def state(self, person: UUID, bearer: str = IT) -> Any:
        path = f"/v1/accounts/{person}/activation"
        return (await self.client.get(path, headers={"Authorization": bearer})).json()

    async def use(self, code: str, password: str = SECRET, login: str = LOGIN) -> httpx2.Response:
        return await self.client.post("/v1/activations", json={"login": login, "code": code, "password": password})

    async def joined(self, first: date = TODAY, last: date | None = None) -> UUID:
        person = uuid4()
        await self.town.tell(person, 1, record(employment(first, last)))
        await self.town.converged()
        return person

    async def logs_in(self, person: UUID) -> list[bool]:
        entries = [await self.town.entry(person, target) for target in (TARGET, OTHER)]
        return [entry is not None and self.town.can_log_in(entry.dn) for entry in entries]


@pytest.fixture
async def desk(slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    (tmp_path / "accounts.json").write_bytes(orjson.dumps(elsewhere()))
    running = town(slapd, fresh_database, policy_dir=tmp_path, second=OTHER)
    async with running as here, opened(here, tmp_path) as found:
        yield found


@asynccontextmanager
async def opened(here: Town, policy_dir: Path, mode: Mode = Mode.WRITE) -> AsyncIterator[Desk]:
    policy = Broken(policy_dir, sorted(here.organisations))
    async with here.database.transaction() as conn:
        await policy.start(conn, TABLE)
    places = here.organisations["alvsund"].targets
    targets = {name: Outage(here.directory, {"alvsund": base}) for name, base in places.items()}
    gates = {name: Gate(one, Rules(mode)) for name, one in targets.items()}
    found = Activations(here.database, Prospects(here.organisations, policy), gates, CODE_KEY, pause=0)
    app = FastAPI()
    problems.install(app)
    app.state.authenticator, app.state.organisations = Bearer(), here.organisations
    app.include_router(activation.router(here.database, found, here.organisations, lambda: None, shortest=8))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://x") as client:
        yield Desk(here, targets, client, policy, found)


async def test_a_code_sets_the_password_everywhere_and_the_login_works_from_the_start_to_the_end(desk: Desk) -> None:
    start, last = TODAY + timedelta(days=3), TODAY + timedelta(days=10)
    person = await desk.joined(start, last)
    issued = (await desk.issue(person)).json()
    assert (issued["state"], issued["userName"]) == ("fetched", LOGIN)
    assert issued["opensAt"] == "2027-03-18T00:00:00+01:00"
    used = await desk.use(issued["code"].lower().replace("-", " "))
    assert used.status_code == 200, used.text
    assert used.json() == {
        "state": "done",
        "targets": [{"target": TARGET, "outcome": "set"}, {"target": OTHER, "outcome": "set"}],
        "opensAt": "2027-03-18T00:00:00+01:00",
    }
    assert await desk.logs_in(person) == [False, False], "before the start"
    await desk.town.at(NOON + timedelta(days=3))
    assert await desk.logs_in(person) == [True, True]
    await desk.town.at(NOON + timedelta(days=11))
    assert await desk.logs_in(person) == [False, False], "after the end"


async def test_a_spent_code_is_worth_nothing(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    assert (await desk.use(code)).status_code == 200
    again = await desk.use(code, "Another-one-2027!")
    assert (again.status_code, again.json()["code"]) == (422, "activation.invalid")
    assert await desk.logs_in(person) == [True, True], "with the first password"
    state = await desk.state(person)
    assert (state["state"], state["done"], state["issuedBy"]) == ("spent", [TARGET, OTHER], "urn:test:it")


async def test_the_address_will_do_as_the_login(desk: Desk) -> None:
    person = await desk.joined()
    assert (await desk.use(await desk.code(person), login=" Anna.Andersson@alvsund.example ")).status_code == 200


async def test_whatever_is_wrong_is_answered_alike(desk: Desk) -> None:
    person = await desk.joined()
    spent = await desk.code(person)
    await desk.use(spent)
    right = await desk.code(person)
    answers = [
        await desk.use(make()),
        await desk.use(right, login="nobody"),
        await desk.use(right, login="\x00"),
        await desk.use(spent),
    ]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert (await desk.use(right)).status_code == 200


async def test_a_wrong_code_and_an_unknown_login_are_the_same_work(desk: Desk) -> None:
    person, spent = await desk.joined(), uuid4()
    await desk.town.tell(spent, 1, record(employment(TODAY), given="Bo", family="Berg"))
    await desk.town.converged()
    await desk.use(await desk.code(spent), login="bo.berg")
    await desk.code(person)
    own = desk.activating._database
    counted = CountedDatabase(own)
    desk.activating._database = counted
    work: dict[str, tuple[Counter[str], Counter[str]]] = {}
    for login in (LOGIN, "nobody", "bo.berg"):
        counted.statements = Counter[str]()
        with hashing() as hashes:
            assert (await desk.use(make(), login=login)).json()["code"] == "activation.invalid"
        work[login] = counted.statements, hashes
    desk.activating._database = own
    assert work[LOGIN] == work["nobody"] == work["bo.berg"]
    statements, hashes = work[LOGIN]
    assert (statements.total(), dict(hashes)) == (5, {"hmac_digest": 4, "compare_digest": 1})


async def test_a_mistyped_code_costs_no_try(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    for _ in range(WRONG_TRIES + 1):
        wrong = await desk.use(code[:-1] + ("0" if code[-1] != "0" else "2"))
        assert wrong.json()["errors"][0]["code"] == "activation.code_mistyped"
    assert (await desk.use(code)).status_code == 200


async def test_five_wrong_codes_lock_the_code(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    for _ in range(WRONG_TRIES):
        assert (await desk.use(make())).json()["code"] == "activation.invalid"
    assert (await desk.use(code)).json()["code"] == "activation.invalid"
    assert (await desk.state(person))["state"] == "locked"
    assert await desk.logs_in(person) == [False, False]
    audits = [one["action"] for one in await desk.town.said(AUDIT_RECORDED, person)]
    assert audits.count("activation.locked") == 1
    assert (await desk.use(await desk.code(person))).status_code == 200


async def test_tries_are_limited_by_login_and_told_alike_for_a_login_that_is_none(desk: Desk) -> None:
    await desk.joined()
    for login in (LOGIN, "nobody"):
        answers = [await desk.use(make(), login=login) for _ in range(activations.LIMITS["login"] + 1)]
        assert [answer.status_code for answer in answers] == [422] * activations.LIMITS["login"] + [429]
        assert int(answers[-1].headers["retry-after"]) > 0


async def test_tries_are_limited_by_address_and_whoever_succeeds_costs_nothing(desk: Desk) -> None:
    person = await desk.joined()
    for _ in range(3):
        assert (await desk.use(await desk.code(person))).status_code == 200
    assert {row[0] for row in await desk.town.rows("SELECT tries FROM activation_attempt")} == {0}
    codes = [(await desk.use(make(), login=f"login{number}")).status_code for number in range(31)]
    assert codes == [422] * activations.LIMITS["address"] + [429]


async def test_an_expired_code_is_told_so_only_to_who_has_it(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    await desk.town.at(NOON + timedelta(days=15))
    assert (await desk.use(make())).json()["code"] == "activation.invalid"
    assert (await desk.use(code)).json()["code"] == "activation.expired"
    assert (await desk.state(person))["state"] == "expired"
    assert await desk.logs_in(person) == [False, False]


async def test_a_new_code_voids_the_one_before(desk: Desk) -> None:
    person = await desk.joined()
    first, second = await desk.code(person), await desk.code(person)
    assert (await desk.use(first)).json()["code"] == "activation.invalid"
    assert (await desk.use(second)).status_code == 200
    issued = await asyncio.gather(*(desk.code(person) for _ in range(4)))
    assert [(await desk.use(code)).status_code for code in issued].count(200) == 1


async def test_who_has_left_or_is_blocked_or_dead_gets_no_code_and_can_use_none(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    ends = datetime(2027, 3, 15, 10, tzinfo=UTC)
    core = record(employment(TODAY))
    closed: list[CoreRecord] = [
        core.model_copy(update={"access": Access(blocked_since=ends)}),
        core.model_copy(update={"deceased": True}),
        record(employment(TODAY - timedelta(days=9), TODAY, ends_at=ends)),
        core.model_copy(update={"alias_of": uuid4()}),
    ]
    for revision, one in enumerate(closed, 2):
        await desk.town.tell(person, revision, one, type_=PERSON_LEAVER, reason=Reason.DISMISSAL)
        await desk.town.converged()
        refused = await desk.issue(person)
        assert (refused.status_code, refused.json()["code"]) == (409, "activation.closed")
    assert (await desk.use(code)).json()["code"] == "activation.expired"
    assert await desk.logs_in(person) == [False, False]


async def test_a_target_that_is_away_leaves_the_code_good_for_the_rest(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    desk.targets[OTHER].away = True
    partly = (await desk.use(code)).json()
    assert partly["state"] == "partly"
    assert [one["outcome"] for one in partly["targets"]] == ["set", "away"]
    assert await desk.logs_in(person) == [True, False]
    assert (await desk.state(person))["done"] == [TARGET]
    desk.targets[OTHER].away = False
    done = (await desk.use(code)).json()
    assert (done["state"], [one["outcome"] for one in done["targets"]]) == ("done", ["earlier", "set"])
    assert await desk.logs_in(person) == [True, True]
    assert (await desk.use(code)).status_code == 422


async def test_the_rest_alone_is_set_with_the_same_code(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    desk.targets[OTHER].away = True
    await desk.use(code)
    desk.targets[OTHER].away = False
    await desk.use(code, "Another-one-2027!")
    assert await desk.logs_in(person) == [True, False], "where it was set it stays"


async def test_nothing_answers_and_the_code_is_as_good_as_before(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    for one in desk.targets.values():
        one.away = True
    away = await desk.use(code)
    assert (away.status_code, away.json()["code"]) == (503, "activation.away")
    assert {one["outcome"] for one in away.json()["targets"]} == {"away"}
    for one in desk.targets.values():
        one.away = False
    assert (await desk.use(code)).json()["state"] == "done"


async def test_a_target_that_another_one_writes_is_left_to_it(desk: Desk) -> None:
    person = await desk.joined()
    desk.targets[OTHER].synced = True
    done = (await desk.use(await desk.code(person))).json()
    assert (done["state"], [one["outcome"] for one in done["targets"]]) == ("done", ["set", "synced"])
    assert await desk.logs_in(person) == [True, False]


async def test_a_table_that_cannot_answer_gives_no_code_and_leaves_one_as_it_is(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    desk.policy.broken = True
    answers = await desk.issue(person), await desk.use(code)
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "policy.failed")] * 2
    desk.policy.broken = False
    assert (await desk.use(code)).json()["state"] == "done"


async def test_a_password_that_the_directory_refuses_costs_nothing(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    refused = await desk.use(code, "kort-men12")
    assert (refused.status_code, refused.json()["code"]) == (422, "account.password_refused")
    assert refused.json()["targets"] == [{"target": TARGET, "outcome": "refused"}]
    weak = await desk.use(code, "kort")
    assert weak.json()["errors"][0]["code"] == "password.short"
    assert (await desk.use(code)).json()["state"] == "done"


async def test_a_code_that_is_used_twice_at_once_sets_one_password(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    desk.targets[TARGET].hold = hold = asyncio.Event()
    first = asyncio.create_task(desk.use(code))
    await eventually(lambda: desk.town.rows("SELECT FROM activation WHERE attempt IS NOT NULL"))
    async with asyncio.timeout(20):
        others = await asyncio.gather(*(desk.use(code, f"Another-{number}-2027!") for number in range(4)))
    assert {(one.status_code, one.json()["code"]) for one in others} == {(409, "activation.under_way")}
    hold.set()
    assert (await first).json()["state"] == "done"
    assert await desk.logs_in(person) == [True, True], "with the first password"


async def test_an_attempt_that_died_leaves_the_code_usable_after_a_while(desk: Desk) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    await desk.town.rows(
        "UPDATE activation SET attempt = %s, busy_until = now() + interval '1 minute' RETURNING 1", uuid4()
    )
    assert (await desk.use(code)).json()["code"] == "activation.under_way"
    await desk.town.rows("UPDATE activation SET busy_until = now() - interval '1 second' RETURNING 1")
    assert (await desk.use(code)).json()["state"] == "done"


async def test_the_gate_lets_no_password_into_a_target_for_reading(desk: Desk, tmp_path: Path) -> None:
    person = await desk.joined()
    async with opened(desk.town, tmp_path, Mode.READ_ONLY) as shut:
        before = await desk.town.writes()
        answer = await shut.use(await shut.code(person))
        assert {one["outcome"] for one in answer.json()["targets"]} == {"withheld"}
        assert await desk.town.writes() == before


async def test_neither_code_nor_password_is_found_anywhere(desk: Desk, capfdbinary: Any) -> None:
    person = await desk.joined()
    code = await desk.code(person)
    desk.targets[OTHER].away = True
    await desk.use(code, "kort-men12")
    await desk.use(code)
    desk.targets[OTHER].away = False
    await desk.use(code)
    await desk.client.post("/v1/activations", json={"login": 7, "code": code, "password": SECRET})
    words = (code, code.replace("-", ""), SECRET, "kort-men12")
    tables = await desk.town.rows(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE'"
        " AND table_schema IN ('accounts', 'kernel')"
    )
    assert ("accounts", "activation") in {tuple(table) for table in tables}
    for schema, table in tables:
        if (schema, table) == ("kernel", "schema_version"):
            continue
        text = "\n".join(row[0] for row in await desk.town.rows(f'SELECT t::text FROM "{schema}"."{table}" t'))
        assert [word for word in words if word.lower() in text.lower()] == [], table
    said = b"".join(capfdbinary.readouterr()).decode()
    assert "activation.used" in said, "the logs are looked at"
    assert [word for word in words if word.lower() in said.lower()] == []
    used = [one for one in await desk.town.said(AUDIT_RECORDED, person) if one["action"] == "activation.used"]
    assert [one["parameters"]["verdict"] for one in used] == ["refused", "partly", "done"]
    assert {one["actor"] for one in used} == {"urn:stafett:activation"}


async def unit(here: Town, name: str, *, parent: str | None = None, manager: UUID | None = None) -> None:
    await here.tell_unit(name, name, parent=parent, manager=manager)


async def test_a_manager_issues_codes_for_the_own_unit_and_for_nobody_else(desk: Desk) -> None:
    person, manager, other = await desk.joined(), uuid4(), uuid4()
    await unit(desk.town, "1", manager=manager)
    await unit(desk.town, "100", parent="1")
    own = "alvsund accounts:activate_own @"
    stranger, nobody = await desk.issue(person, own + str(other)), await desk.issue(uuid4(), own + str(manager))
    assert (stranger.status_code, stranger.json()["code"]) == (404, "account.not_found")
    assert stranger.json()["title"] == nobody.json()["title"]
    assert (await desk.issue(person, own.strip(" @"))).status_code == 404, "who does not say who it is"
    assert (await desk.issue(person, "alvsund persons:read")).status_code == 403
    assert (await desk.issue(person, "bergby accounts:activate")).status_code in {403, 404}
    issued = await desk.issue(person, own + str(manager))
    assert issued.status_code == 201, issued.text
    assert issued.headers["cache-control"] == "no-store"
    assert (await desk.state(person, own + str(manager)))["state"] == "fetched"
    audits = [(one["action"], one["reason"]) for one in await desk.town.said(AUDIT_RECORDED, person)]
    assert audits.count(("activation.denied", "börjar i dag")) == 2
    assert audits.count(("activation.issued", "börjar i dag")) == 1
    themselves = await desk.issue(person, f"{IT} @{person}")
    assert (themselves.status_code, themselves.json()["code"]) == (409, "activation.own")


async def test_a_protected_person_is_nobody_without_the_right(desk: Desk) -> None:
    person = uuid4()
    await desk.town.tell(person, 1, record(employment(TODAY)).model_copy(update={"protection": Protection.MARKED}))
    await desk.town.converged()
    hidden, nobody = await desk.issue(person), await desk.issue(uuid4())
    assert (hidden.status_code, hidden.json()["title"]) == (404, nobody.json()["title"])
    issued = (await desk.issue(person, f"{IT} persons:read_protected")).json()
    used = await desk.use(issued["code"], login=issued["userName"])
    assert used.status_code == 200
    assert "anders" not in used.text.lower()


async def test_a_code_for_a_private_phone_is_made_when_it_is_sent_and_only_where_it_is_allowed(desk: Desk) -> None:
    person = await desk.joined()
    refused = await desk.issue(person, way="private")
    assert (refused.status_code, refused.json()["code"]) == (409, "activation.way_refused")
    own = desk.town.organisations["alvsund"]
    object.__setattr__(own, "activation", frozenset({"private"}))
    issued = (await desk.issue(person, way="private")).json()
    assert (issued["state"], issued["code"]) == ("issued", None)
    path, deliverer = f"/v1/accounts/{person}/activation/fetch", {"Authorization": "alvsund activations:deliver"}
    assert (await desk.client.post(path, headers={"Authorization": IT})).status_code == 403
    fetched = await desk.client.post(path, headers=deliverer)
    assert fetched.status_code == 200, fetched.text
    assert (await desk.client.post(path, headers=deliverer)).status_code == 404, "once"
    assert (await desk.use(fetched.json()["code"])).status_code == 200


async def test_an_erased_person_has_no_codes_and_old_ones_are_purged(desk: Desk) -> None:
    person, other = await desk.joined(), uuid4()
    await desk.town.tell(other, 1, record(employment(TODAY), given="Bo", family="Berg"))
    await desk.town.converged()
    await desk.use(await desk.code(person))
    await desk.code(person)
    await desk.code(other)
    await desk.town.tell(person, 2, ERASED, type_=PERSON_MOVER, reason=Reason.ERASED)
    for days in (40, 80):
        await desk.town.at(NOON + timedelta(days=days))
    assert await desk.town.rows("SELECT FROM activation WHERE person = %s", person) == []
    purge = Purge("accounts", desk.town.database, ["alvsund"], lambda: None)
    purge.add(*activations.classes(["alvsund"]))
    for days, left in ((80, 1), (91, 0)):
        await desk.town.rows(
            "UPDATE activation SET over_at = now() - %s * interval '1 day' RETURNING 1",
            days,
        )
        await desk.town.rows("UPDATE purge_log SET began_at = now() - %s RETURNING 1", EVERY * 2)
        await purge.look()
        assert len(await desk.town.rows("SELECT FROM activation")) == left
