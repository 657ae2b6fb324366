"""Erasing a person: refused while anything stands against it; afterwards nothing is left, and nothing comes back."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.kernel.messaging.replay import ReplaySource
from tests.integration.ingestion.conftest import Site
from tests.integration.ingestion.test_identity import a_number, ask, born, case_between
from tests.support import hr

SCOPES = ("erasure:write", "records:read", "commands:write", "persons:read")
TABLES = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'ingestion' AND table_type = 'BASE TABLE'"
)


def event(
    external_id: str, number: str, *, end: str | None = "2025-06-30", given: str = "Ragnhild", **attributes: Any
) -> hr.Event:
    """Somebody hired in 2023 who has, as a rule, left long ago."""
    told = hr.hire(external_id, start="2023-01-01", end=end, name=(given, f"{given}{number}"), **attributes)
    told["data"] |= {"identifiers": [{"kind": "personnummer", "value": number}], "birthDate": born(number)}
    return told


async def hired(site: Site, external_id: str, number: str, **attributes: Any) -> str:
    answer = await site.post(event(external_id, number, time="2025-07-01T08:00:00+02:00", **attributes))
    assert answer.status_code == 202, answer.text
    site.rows("UPDATE outbox SET published_at = now() RETURNING 1")
    person: str = answer.json()["person"]
    return person


async def erasure(site: Site, person: str, *, method: str = "POST") -> httpx2.Response:
    body = {"reason": "gallras enligt plan"} if method == "POST" else None
    headers = site.bearer("alvsund", *SCOPES, subject="arkivarie")
    return await site.client.request(method, f"/v1/persons/{person}/erasure", headers=headers, json=body)


def found(site: Site, *words: str) -> list[tuple[str, str]]:
    """Tables in which any of the words stands."""
    names = [row[0] for row in site.rows(TABLES)]
    return [
        (name, word)
        for name in names
        for word in words
        if site.rows(f"SELECT 1 FROM {name} t WHERE strpos(lower(t::text), lower(%s)) > 0 LIMIT 1", word)
    ]


async def test_nothing_is_left_and_an_old_word_once_more_changes_nothing(site: Site) -> None:
    external, number = f"x-{uuid4().hex[:10]}", a_number()
    person = await hired(site, external, number)
    other = event(f"y-{uuid4().hex[:10]}", a_number(), given="Vera", time="2025-07-02T08:00:00+02:00")
    seen = (await erasure(site, person, method="GET")).json()
    assert seen["possible"], seen
    assert {name: seen["empties"][name] for name in ("facts", "versions", "ids", "numbers")} == {
        "facts": 1, "versions": 1, "ids": 1, "numbers": 1,
    }  # fmt: skip
    site.rows(
        "INSERT INTO scim_name (organisation, source, kind, subject, user_name) VALUES ('alvsund', %s, 'User', %s, %s)"
        " RETURNING 1", hr.SOURCE, external, f"ragnhild{number}",
    )  # fmt: skip
    site.rows(
        "INSERT INTO access_decision (id, organisation, person, action, state, actor, reason, decided_at)"
        " VALUES (gen_random_uuid(), 'alvsund', %s::uuid, 'disable', 'effective', 'it', %s, now()) RETURNING 1",
        person, f"ragnhild{number}",
    )  # fmt: skip
    done = await erasure(site, person)
    assert done.status_code == 200, done.text
    words = (external, number, f"ragnhild{number}")
    assert found(site, *words) == []
    assert site.versions(person) == [(1, "leaver", "end"), (2, "mover", "erased")]
    again = await erasure(site, person)
    assert (again.json()["erasedAt"], site.versions(person)) == (done.json()["erasedAt"], site.versions(person))
    late = event(external, number, time="2025-07-01T08:00:00+02:00")
    site.set_business_time("2026-03-04T08:00:00+01:00")
    listed = event(external, number, time="2026-03-04T07:00:00+01:00")
    assert (await site.post(late)).json()["status"] == "unchanged"
    results = (await site.post([late, other, listed])).json()["results"]
    assert [one["status"] for one in results] == ["unchanged", "accepted", "unchanged"]
    assert found(site, *words) == [], "nor what others were told beside it"
    pages = [page async for page in _replayed(site)]
    records = [one.event.data.record for page in pages for one in page if str(one.event.data.person) == person]
    assert [(record.name.display, record.erased) for record in records] == [("", True)] * 2


async def _replayed(site: Site) -> Any:
    source: ReplaySource = site.service._replayer._sources[-1]
    async with site.service.database.transaction() as conn:
        async for page in source.messages(conn, "status", frozenset({"person.core"}), everything=True):
            yield page


async def test_who_is_hired_under_the_id_later_is_somebody_new_and_nothing_of_before_belongs_to_them(
    site: Site,
) -> None:
    external, number = f"x-{uuid4().hex[:10]}", a_number()
    person = await hired(site, external, number)
    assert (await erasure(site, person)).status_code == 200
    site.set_business_time("2026-03-03T08:00:00+01:00")
    back = hr.hire(external, start="2026-04-01", name=("Ny", "Person"), time="2026-03-03T07:00:00+01:00")
    answer = (await site.post(back)).json()
    assert answer["status"] == "accepted"
    assert answer["person"] != person
    assert (await site.post(event(external, number, time="2025-07-01T08:00:00+02:00"))).json()["status"] == "unchanged"
    assert found(site, f"ragnhild{number}", number) == []
    assert site.versions(answer["person"]) == [(1, "joiner", "hire")]
    changed = hr.change(external, time="2026-03-03T07:30:00+01:00", extent=50)
    assert (await site.post(changed)).json()["person"] == answer["person"]


async def test_a_late_word_of_who_had_an_id_before_and_is_erased_is_kept_nowhere(site: Site) -> None:
    external, number = f"x-{uuid4().hex[:10]}", a_number(1980)
    former = await hired(site, external, number)
    came = event(external, a_number(1995), end=None, given="Bo", time="2026-03-01T08:00:00+01:00")
    held = (await site.post(came)).json()["person"]
    case = await case_between(site, former, held)
    assert case is not None
    assert (await ask(site, f"/identity/cases/{case['id']}/decision", decision="separate")).status_code == 200
    site.rows("UPDATE outbox SET published_at = now() RETURNING 1")
    done = await erasure(site, former)
    assert done.status_code == 200, done.text
    late = event(external, number, end="2025-08-31", time="2025-08-01T08:00:00+02:00")
    assert (await site.post(late)).json()["status"] == "unchanged"
    assert found(site, f"ragnhild{number}", number) == []
    assert site.versions(held) == [(1, "joiner", "hire")]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (None, "erasure.active"),
        ("2026-02-15", "erasure.too_early"),
        ("2026-12-31", "erasure.active"),
    ],
)
async def test_who_is_here_or_has_just_left_is_not_erased(site: Site, end: str | None, code: str) -> None:
    person = await hired(site, f"x-{uuid4().hex[:10]}", a_number(), end=end)
    refused = await erasure(site, person)
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    seen = (await erasure(site, person, method="GET")).json()
    assert [one["code"] for one in seen["hindrances"]] == [code]
    assert site.versions(person)[-1][2] != "erased"


async def test_what_binds_the_person_to_others_or_is_under_way_comes_first(site: Site) -> None:
    number = a_number()
    one, two = [await hired(site, f"x-{uuid4().hex[:10]}", number, given=name) for name in ("Ada", "Bea")]
    assert await case_between(site, one, two)
    assert (await erasure(site, one)).json()["code"] == "erasure.open_case"
    assert (await ask(site, f"/persons/{one}/merge", absorb=two)).status_code == 200
    assert (await erasure(site, one)).json()["code"] == "erasure.has_aliases"
    assert (await erasure(site, two)).json()["code"] == "erasure.alias"
    third = await hired(site, f"x-{uuid4().hex[:10]}", a_number())
    site.rows("UPDATE outbox SET published_at = NULL WHERE subject = %s RETURNING 1", third)
    assert (await erasure(site, third)).json()["code"] == "erasure.untold"
    assert (await erasure(site, str(uuid4()))).status_code == 404
    assert (await site.client.get(f"/v1/persons/{one}/erasure", headers=site.bearer())).status_code == 403


async def test_nothing_is_left_of_what_was_held_under_an_id_that_came_back(site: Site) -> None:
    external, number = f"x-{uuid4().hex[:10]}", a_number(1985)
    person = await hired(site, external, number)
    returned = event(external, a_number(1991), given="Sigbritt", time="2025-07-02T08:00:00+02:00")
    assert (await site.post(returned)).json()["status"] == "quarantined"
    assert (await erasure(site, person)).json()["code"] == "erasure.open_case"
    ((case,),) = site.rows("SELECT id::text FROM identity_case WHERE external_id = %s", external)
    assert (await ask(site, f"/identity/cases/{case}/decision", decision="same")).status_code == 200
    site.rows("UPDATE outbox SET published_at = now() RETURNING 1")
    assert (await erasure(site, person)).status_code == 200
    assert found(site, external, number, f"ragnhild{number}", "sigbritt") == []
