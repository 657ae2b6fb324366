"""Several targets for one person: each converges by itself, names are one person's in all of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from contracts.codes import Form
from contracts.registry import SERVICE_EVALUATED
from services.accounts.domain.names import PLAIN, Blocklist
from services.accounts.handlers.intake import wake_everybody
from services.accounts.handlers.situation import wants
from services.accounts.settings import BLOCKLIST
from services.accounts.store import names, targets
from services.accounts.store.names import LOGIN, Reservation
from services.kernel import breaker, evaluators, oversight
from services.kernel.gate import Mode
from services.kernel.settings import load_organisations
from services.kernel.targets import TargetsRefused, load_targets
from tests.integration.accounts.harness import TARGET, Town, town
from tests.support.kernel import ROOT, eventually, organisations_file
from tests.support.office import TODAY, employment, record
from tests.support.servers import SlapdUnderTest

OTHER = "spegel"


@pytest.fixture
async def alvsund(slapd: SlapdUnderTest, fresh_database: str, tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "accounts.json").write_bytes(orjson.dumps(elsewhere()))
    async with town(slapd, fresh_database, policy_dir=tmp_path, second=OTHER) as here:
        yield here


def elsewhere() -> dict[str, Any]:
    """The delivered table, by which seasonal staff have no account in the second target."""
    table: dict[str, Any] = orjson.loads((ROOT / "deploy/policy/accounts.json").read_bytes())
    content = table["nodes"][1]["content"]
    content["outputs"].append({"id": "targets", "name": "Targets", "field": "targets"})
    for rule in content["rules"]:
        rule["targets"] = f"['{TARGET}']" if rule["_id"] == "seasonal" else f"['{TARGET}', '{OTHER}']"
    return table


async def test_one_person_has_the_same_names_in_every_target(alvsund: Town) -> None:
    people = [uuid4() for _ in range(12)]
    await asyncio.gather(*(alvsund.tell(person, 1, record(employment(TODAY))) for person in people))
    await alvsund.converged()
    for person in people:
        here, there = await alvsund.entry(person), await alvsund.entry(person, OTHER)
        assert here is not None
        assert there is not None
        assert (here.values("uid"), here.values("mail")) == (there.values("uid"), there.values("mail"))


async def test_two_targets_that_reserve_at_once_reserve_one_name(alvsund: Town) -> None:
    people = [("alvsund", uuid4())]
    blocklist = Blocklist.parse(BLOCKLIST.read_text())
    want = wants(alvsund.organisations, blocklist)(*people[0], LOGIN, "bo.berg", PLAIN)

    async def second() -> list[Reservation]:
        async with alvsund.database.transaction() as conn:
            await names.lock(conn, people)
            return (await names.load(conn, people))[people[0]]

    async with alvsund.database.transaction() as conn:
        await names.lock(conn, people)
        other = asyncio.create_task(second())
        await eventually(lambda: waits(alvsund))
        won = await names.reserve(conn, [want])
    assert await other == won


async def waits(alvsund: Town) -> bool:
    """Tell whether a transaction waits for a lock."""
    return bool(await alvsund.rows("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"))


async def test_policy_says_which_targets_and_a_leaver_leaves_all(alvsund: Town) -> None:
    summer, ordinary = uuid4(), uuid4()
    await alvsund.tell(summer, 1, record(employment(TODAY, form=Form.SEASONAL)))
    await alvsund.tell(ordinary, 1, record(employment(TODAY)))
    await alvsund.converged()
    assert await alvsund.entry(summer) is not None
    assert await alvsund.entry(summer, OTHER) is None
    yesterday = TODAY - timedelta(days=1)
    await alvsund.tell(ordinary, 2, record(employment(yesterday, yesterday)))
    await alvsund.converged()
    ends = [await alvsund.entry(ordinary, target) for target in (TARGET, OTHER)]
    assert [entry.first("pwdEndTime") if entry else None for entry in ends] == ["20000101000000Z"] * 2


async def test_one_target_away_delays_no_other(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        await breaker.pause(conn, "accounts", OTHER, actor="drift", reason="flytt", organisation="alvsund")
    person = uuid4()
    await alvsund.tell(person, 1, record(employment(TODAY)))

    async def there() -> bool:
        return await alvsund.entry(person) is not None

    await eventually(there)
    assert await alvsund.entry(person, OTHER) is None
    async with alvsund.database.transaction() as conn:
        await breaker.resume(conn, "accounts", OTHER)
    await alvsund.converged()
    assert await alvsund.entry(person, OTHER) is not None


async def test_a_new_target_is_looked_at_for_everybody_and_one_that_is_gone_is_waited_for_no_longer(
    alvsund: Town,
) -> None:
    for _ in range(3):
        await alvsund.tell(uuid4(), 1, record(employment(TODAY)))
    await alvsund.converged()
    async with alvsund.database.transaction() as conn:
        assert await evaluators.register(conn, "accounts", ["alvsund"], "tredje") == ["alvsund"]
        assert await evaluators.register(conn, "accounts", ["alvsund"], "tredje") == []
        assert await wake_everybody(conn, "alvsund", "tredje") == 3
    assert await alvsund.rows("SELECT count(*) FROM work WHERE target = 'tredje' AND wanted > done") == [(3,)]
    async with alvsund.database.transaction() as conn:
        assert await evaluators.retire(conn, "accounts", [("alvsund", TARGET)]) == [("alvsund", "tredje")]


async def steps(here: Town, person: UUID) -> dict[str, tuple[str, bool, str | None]]:
    """Return what was said last of a person: state, whether it is mandatory, and the problem, by step."""
    evaluation = (await here.said(SERVICE_EVALUATED, person))[-1]
    return {
        step["code"]: (step["state"], step["mandatory"], (step["problem"] or {}).get("code"))
        for step in evaluation["steps"]
    }


async def test_a_dry_run_tells_what_it_would_write_and_nobody_waits_for_it(
    slapd: SlapdUnderTest, fresh_database: str
) -> None:
    async with town(slapd, fresh_database, mode=Mode.DRY_RUN) as here:
        before, person = await here.writes(), uuid4()
        await here.tell(person, 1, record(employment(TODAY)))
        await here.converged()
        assert await here.writes() == before
        assert (await steps(here, person))["account.created"] == ("skipped", False, "target.dry_run")


async def test_a_unit_is_written_when_it_has_gone_live(slapd: SlapdUnderTest, fresh_database: str) -> None:
    async with town(slapd, fresh_database, staged=True) as here:
        person = uuid4()
        await here.tell(person, 1, record(employment(TODAY)))
        await here.converged()
        assert await here.entry(person) is None
        assert (await steps(here, person))["account.created"] == ("skipped", False, "target.not_live")
        async with here.database.transaction() as conn:
            first = await targets.go_live(conn, "alvsund", TARGET, ["100", "200"], actor="drift", reason="våg 1")
            assert first == ["100", "200"]
            assert await targets.go_live(conn, "alvsund", TARGET, ["100"], actor="drift", reason="igen") == []
            await oversight.stagger(conn, "alvsund", "person", TARGET, per_second=1000)
        await eventually(lambda: here.entry(person))


async def test_other_rules_than_at_the_last_start_are_noticed_once(alvsund: Town) -> None:
    async with alvsund.database.transaction() as conn:
        said = [await evaluators.rules_changed(conn, TARGET, digest) for digest in ("a", "a", "b", "b")]
    assert said == [False, False, True, False]


def test_a_file_of_targets_that_cannot_be_used_says_which_and_why(tmp_path: Path) -> None:
    organisations = load_organisations(organisations_file(tmp_path, TARGET)).values()
    file, section = tmp_path / "targets.toml", '[openldap]\nkind = "openldap"\nbind_dn = "cn=x"\nsecret_file = "s"\n'
    for text, reason in (
        ("[openldap", "targets.toml"),
        (section, r"\[openldap\].*url"),
        (section + 'url = "http://x"\n', r"\[openldap\].*url"),
        (section + 'url = "ldap://x"\n', "secret_file .* is not there"),
        (section.replace('"openldap"', '"active_directory"') + 'url = "ldap://x"\n', r"\[openldap\].*in the clear"),
        ("", r"\[openldap\] is missing; alvsund"),
    ):
        file.write_text(text)
        with pytest.raises(TargetsRefused, match=f"(?s){reason}"):
            load_targets(file, organisations)
    (tmp_path / "s").write_text("hemligt\n")
    file.write_text(section + 'url = "ldap://x"\n')
    assert load_targets(file, organisations)["openldap"].secret == "hemligt"
