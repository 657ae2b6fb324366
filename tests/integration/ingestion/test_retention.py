"""Facts and superseded versions go when somebody has long left; who is here, is coming or has just left keeps them."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.integration.ingestion.conftest import Site
from tests.support import hr

LEAVES = {"start": "2023-01-01", "end": "2023-06-30"}


def kept(site: Site, person: str) -> tuple[int, int]:
    """How many facts and versions of a person there are."""
    (found,) = site.rows(
        "SELECT (SELECT count(*) FROM fact WHERE person = p.id), (SELECT count(*) FROM person_version"
        " WHERE person = p.id) FROM person p WHERE id = %s",
        UUID(person),
    )
    return found[0], found[1]


def age(site: Site, person: str, days: int = 731) -> None:
    """Let all that is recorded of a person be older."""
    for table in ("fact", "person_version"):
        site.rows(
            f"UPDATE {table} SET recorded_at = recorded_at - %s WHERE person = %s RETURNING 1",
            timedelta(days=days),
            UUID(person),
        )


async def purge(site: Site) -> None:
    site.rows("DELETE FROM purge_log RETURNING 1")
    await site.service._purge.look()


async def told(site: Site, **employment: Any) -> str:
    """Somebody told of in two facts, both of which gave a version."""
    external = f"p-{uuid4().hex[:10]}"
    first = hr.hire(external, time="2023-01-01T08:00:00+01:00", **employment)
    person = str((await site.post(first)).json()["person"])
    second = hr.change(external, time="2023-01-02T08:00:00+01:00", extent=75.0)
    assert (await site.post(second)).json()["revision"] == 2
    return person


async def test_who_has_left_keeps_only_what_is_told_again(site: Site) -> None:
    person = await told(site, **LEAVES)
    age(site, person, 729)
    await purge(site)
    assert kept(site, person) == (2, 2)
    age(site, person, 2)
    await purge(site)
    assert kept(site, person) == (0, 1)
    said = site.rows(
        "SELECT body::jsonb -> 'data' -> 'parameters' ->> 'class' FROM outbox WHERE body LIKE '%%retention.purged%%'"
        " ORDER BY seq"
    )
    assert {one[0] for one in said} >= {"facts", "versions"}


@pytest.mark.parametrize(
    "employment",
    [
        {"start": "2023-01-01", "end": None},
        {"start": "2026-09-01", "end": "2026-10-31"},
        {"start": "2023-01-01", "end": "2024-04-30"},
        {"start": "2023-01-01", "end": "2024-02-10", "form": "hourly"},
    ],
    ids=["here", "coming", "left within the days", "in the pool until within the days"],
)
async def test_who_is_here_or_coming_or_has_just_left_keeps_everything(
    site: Site, employment: dict[str, str | None]
) -> None:
    person = await told(site, **employment)
    age(site, person)
    await purge(site)
    assert kept(site, person) == (2, 2)


async def test_who_keeps_access_by_an_operators_word_keeps_everything(site: Site) -> None:
    person = await told(site, **LEAVES)
    age(site, person)
    change = "UPDATE person SET core = core || jsonb_build_object('access', %s::jsonb) WHERE id = %s RETURNING 1"
    site.rows(change, '{"keptUntil": "2026-04-01"}', UUID(person))
    await purge(site)
    assert kept(site, person) == (2, 2)
    site.rows(change, '{"keptUntil": "2023-12-31"}', UUID(person))
    await purge(site)
    assert kept(site, person) == (0, 1)


async def test_something_new_of_somebody_who_left_keeps_all_of_it(site: Site) -> None:
    person = await told(site, **LEAVES)
    age(site, person)
    (external,) = site.rows("SELECT external_id FROM source_identity WHERE person = %s", UUID(person))[0]
    await site.post(hr.change(external, time="2026-03-01T08:00:00+01:00", extent=50.0))
    await purge(site)
    assert kept(site, person) == (3, 3)


async def test_what_was_forgotten_and_is_told_again_or_late_opens_nothing(site: Site) -> None:
    """A hire that comes once more must not stand alone: the end that followed it would be gone."""
    external = f"p-{uuid4().hex[:10]}"
    hired = hr.hire(external, start="2023-01-01", time="2023-01-01T08:00:00+01:00")
    ended = hr.change(external, time="2023-05-01T08:00:00+02:00", validTo="2023-06-30")
    person = str((await site.post(hired)).json()["person"])
    await site.post(ended)
    state = "SELECT state - 'basis', core, confidential, revision FROM person WHERE id = %s"
    before = site.rows(state, UUID(person))
    age(site, person)
    await purge(site)
    assert kept(site, person)[0] == 0
    assert (await site.post(hired)).json()["status"] == "unchanged"
    late = hr.change(external, time="2023-02-01T08:00:00+01:00", validTo=None)
    assert (await site.post(late)).json()["status"] == "unchanged"
    assert site.rows(state, UUID(person)) == before
    whole = {"form": "fixed_term", "validFrom": "2026-04-01", "assignments": [hr.assignment(start="2026-04-01")]}
    for time, end in (("2026-03-01T08:00:00+01:00", "2026-08-31"), ("2026-02-20T08:00:00+01:00", "2026-05-31")):
        answer = await site.post(hr.change(external, employment_id="2", time=time, validTo=end, **whole))
        assert answer.status_code == 202, "the second one arrives late, and is folded beneath the first"
    (core,) = site.rows("SELECT core FROM person WHERE id = %s", UUID(person))[0]
    assert core["name"]["family"] == "Öberg"
    assert sorted(one["validTo"] for one in core["employments"]) == ["2023-06-30", "2026-08-31"]


async def test_whose_facts_were_forgotten_is_neither_absorbed_nor_split_and_may_take_in_what_is_newer(
    site: Site,
) -> None:
    async def ask(verb: str, person: str, **body: Any) -> tuple[int, str | None]:
        headers = site.bearer("alvsund", "identity:write", "records:read")
        answer = await site.client.post(
            f"/v1/persons/{person}/{verb}", json={"reason": "samma person", **body}, headers=headers
        )
        return answer.status_code, answer.json().get("code")

    gone, unsure = await told(site, **LEAVES), await told(site, **LEAVES)
    site.rows(
        "INSERT INTO identity_case (id, organisation, kind, person, other) VALUES (gen_random_uuid(), 'alvsund',"
        " 'asked', %s, gen_random_uuid()) RETURNING 1",
        UUID(unsure),
    )
    for person in (gone, unsure):
        age(site, person)
    await purge(site)
    assert (kept(site, gone), kept(site, unsure)) == ((0, 1), (2, 2)), "a case may need what was told"
    older = (await site.post(hr.hire(f"p-{uuid4().hex[:10]}", time="2022-01-01T08:00:00+01:00"))).json()["person"]
    newer_id = f"p-{uuid4().hex[:10]}"
    newer = (await site.post(hr.hire(newer_id, start="2026-02-01"))).json()["person"]
    forgotten = (409, "identity.forgotten")
    assert await ask("merge", newer, absorb=gone) == forgotten
    assert await ask("merge", gone, absorb=older) == forgotten
    assert kept(site, older) == (1, 1)
    assert (await ask("merge", gone, absorb=newer))[0] == 200
    (core,) = site.rows("SELECT core FROM person WHERE id = %s", UUID(gone))[0]
    assert sorted(one["validFrom"] for one in core["employments"]) == ["2023-01-01", "2026-02-01"]
    assert await ask("split", gone, ids=[{"source": hr.SOURCE, "externalId": newer_id}]) == forgotten
