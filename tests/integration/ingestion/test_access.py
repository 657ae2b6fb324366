"""Access decided by operators: at once or by two people, once, audited, and never about the hidden."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import orjson
import pytest

from tests.integration.ingestion.conftest import Site
from tests.support import hr

SCOPES = ("commands:write", "persons:read", "events:write", "records:read")


async def hired(site: Site, **fields: Any) -> str:
    answer = await site.post(hr.hire(f"p-{uuid4().hex[:10]}", start="2026-01-01", **fields))
    person: str = answer.json()["person"]
    return person


async def decide(site: Site, person: str, *, subject: str = "it-1", **body: Any) -> httpx2.Response:
    key = body.pop("key", None)
    headers = {**site.bearer("alvsund", *SCOPES, subject=subject), **({"Idempotency-Key": key} if key else {})}
    content = {"reason": "misstänkt intrång", **body}
    return await site.client.post(f"/v1/persons/{person}/access", json=content, headers=headers)


async def answer(site: Site, decision: str, subject: str, *, approve: bool = True) -> httpx2.Response:
    body = {"approve": approve, "reason": "stämmer med chefen"}
    headers = site.bearer("alvsund", *SCOPES, subject=subject)
    return await site.client.post(f"/v1/access/{decision}/answer", json=body, headers=headers)


def audited(site: Site, person: str) -> list[tuple[str, str, str]]:
    rows = site.rows("SELECT body FROM outbox WHERE type LIKE '%%audit%%' AND subject = %s ORDER BY seq", person)
    found = [orjson.loads(row[0])["data"] for row in rows]
    return [(record["action"], record["actor"], record["reason"]) for record in found]


async def test_access_is_closed_at_once_and_restored(site: Site) -> None:
    person = await hired(site)
    closed = await decide(site, person, action="disable")
    assert (closed.status_code, closed.json()["state"], closed.json()["revision"]) == (202, "effective", 2)
    assert site.versions(person)[-1] == (2, "mover", "access_blocked")
    assert site.said(person)[-3][1].startswith("express.")
    again = await decide(site, person, action="disable")
    assert (again.status_code, again.json()["code"]) == (409, "access.nothing_to_do")
    assert len(site.versions(person)) == 2
    lifted = await decide(site, person, action="restore")
    assert lifted.json()["revision"] == 3
    shown = await site.client.get(f"/v1/persons/{person}/access", headers=site.bearer("alvsund", *SCOPES))
    assert [item["action"] for item in shown.json()["items"]] == ["restore", "disable"]
    assert audited(site, person)[:1] == [("access.disable", "it-1", "misstänkt intrång")]


async def test_the_same_decision_sent_again_is_done_once(site: Site) -> None:
    person, key = await hired(site), str(uuid4())
    first = await decide(site, person, action="disable", key=key)
    second = await decide(site, person, action="disable", key=key)
    assert (second.status_code, second.json()) == (202, first.json())
    other = await decide(site, person, action="restore", key=key)
    assert (other.status_code, other.json()["code"]) == (409, "command.id_reused")
    assert len(site.versions(person)) == 2


async def test_keeping_access_takes_a_second_person(site: Site) -> None:
    person = await hired(site, end="2026-03-05")
    proposed = await decide(site, person, action="keep", until="2026-03-12")
    assert (proposed.status_code, proposed.json()["state"]) == (202, "proposed")
    assert len(site.versions(person)) == 1, "nothing holds before it is approved"
    decision = proposed.json()["id"]
    waiting = await site.client.get("/v1/access/proposals", headers=site.bearer("alvsund", *SCOPES))
    assert decision in [item["id"] for item in waiting.json()["items"]]
    own = await answer(site, decision, "it-1")
    assert (own.status_code, own.json()["code"]) == (403, "access.own_approval")
    approved = await answer(site, decision, "it-2")
    assert (approved.status_code, approved.json()["state"], approved.json()["decidedBy"]) == (200, "effective", "it-2")
    assert site.versions(person)[-1] == (2, "mover", "access_kept")
    (record,) = site.rows("SELECT core -> 'access' ->> 'keptUntil' FROM person WHERE id = %s", UUID(person))
    assert record == ("2026-03-12",)
    late = await answer(site, decision, "it-3")
    assert (late.status_code, late.json()["code"]) == (409, "access.decided")
    actions = [(action, actor) for action, actor, _ in audited(site, person)]
    assert actions == [("access.proposed", "it-1"), ("access.approved", "it-2")]


async def test_a_refused_and_a_forgotten_proposal_change_nothing(site: Site) -> None:
    person = await hired(site, end="2026-03-05")
    refused = (await decide(site, person, action="keep", until="2026-03-12")).json()["id"]
    assert (await answer(site, refused, "it-1", approve=False)).json()["state"] == "refused"
    forgotten = (await decide(site, person, action="keep", until="2026-03-12")).json()["id"]
    site.admin.execute(
        "UPDATE access_decision SET proposed_at = now() - interval '25 hours' WHERE id = %s", (UUID(forgotten),)
    )
    assert (await answer(site, forgotten, "it-2")).json()["code"] == "access.decided"
    assert len(site.versions(person)) == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"action": "keep"}, 422, "request.invalid"),
        ({"action": "disable", "until": "2026-03-12"}, 422, "request.invalid"),
        ({"action": "disable", "reason": " "}, 422, "request.invalid"),
        ({"action": "delete"}, 422, "request.invalid"),
        ({"action": "keep", "until": "2026-04-12"}, 422, "access.until_out_of_range"),
        ({"action": "keep", "until": "2026-03-05"}, 422, "access.nothing_to_keep"),
        ({"action": "restore"}, 409, "access.nothing_to_do"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    site: Site, body: dict[str, Any], status: int, code: str
) -> None:
    person = await hired(site, end="2026-03-05")
    refused = await decide(site, person, **body)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert len(site.versions(person)) == 1
    assert site.rows("SELECT count(*) FROM access_decision WHERE person = %s", UUID(person)) == [(0,)]


async def test_who_is_unknown_hidden_or_of_another_organisation_cannot_be_decided_about(site: Site) -> None:
    person = await hired(site)
    protected = hr.event(hr.person(f"p-{uuid4().hex[:8]}", hr.employment(start="2026-01-01"), protection="marked"))
    hidden = (await site.post(protected)).json()["person"]
    for who in (str(uuid4()), hidden):
        assert (await decide(site, who, action="disable")).status_code == 404
    headers = site.bearer("bergby", *SCOPES)
    body = {"action": "disable", "reason": "prov"}
    foreign = await site.client.post(f"/v1/persons/{person}/access", json=body, headers=headers)
    assert foreign.status_code == 404
    denied = await site.client.post(f"/v1/persons/{person}/access", json=body, headers=site.bearer())
    assert denied.status_code == 403
    assert audited(site, hidden)[-1][0] == "person.read_denied"


async def test_a_fact_that_comes_late_folds_the_decision_in_again(site: Site) -> None:
    external = f"p-{uuid4().hex[:10]}"
    person = (await site.post(hr.hire(external, start="2026-01-01"))).json()["person"]
    await decide(site, person, action="disable")
    site.set_business_time("2026-03-02T09:00:00+01:00")
    await site.post(hr.change(external, time="2026-03-02T07:30:00+01:00", employeeNumber="77"))
    (blocked,) = site.rows("SELECT core -> 'access' ->> 'blockedSince' FROM person WHERE id = %s", UUID(person))
    assert blocked[0] is not None
