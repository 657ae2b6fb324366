"""The status API through its door: what is shown, what is hidden, what is audited, what is refused."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import psycopg
import pytest

from contracts.codes import AccountState, FailureClass, Protection, Reason, StepState
from contracts.facts import Problem, Step
from contracts.person import Name
from contracts.registry import PERSON_MOVER
from services.kernel.database import Database
from services.kernel.messaging.intake import Incoming
from tests.integration.status.conftest import READ, token
from tests.integration.status.world import (
    T0,
    World,
    account,
    audit,
    audited,
    evaluation,
    gives,
    held,
    minutes,
    passed,
    person,
    placed,
    step,
    uid,
    unit,
)

ALL = token(scopes=f"{READ} persons:read_protected")
NOBODY = UUID(int=1)


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


@pytest.mark.parametrize(
    "q", ["Åsa", "asa", "ÅS", "öst", "asa ost", "asa.o", "asa.ostlund@alv", "nr-asa", "ostlund", "A\u030asa"]
)
async def test_people_are_found_by_the_beginning_of_any_word(api: httpx2.AsyncClient, world: World, q: str) -> None:
    await world.says(
        person("asa", name=Name(given="Åsa", family="Östlund")), account("asa", user_name="asa.ostlund"), person("bo")
    )
    assert ids(await api.get("/v1/persons", params={"q": q})) == [str(uid("asa"))]


@pytest.mark.parametrize("q", ["sa", "xyz", "' | 'bo", "*", "alvsund.example", "a\x00b"])
async def test_nothing_is_found_by_what_begins_no_word(api: httpx2.AsyncClient, world: World, q: str) -> None:
    await world.says(person("asa", name=Name(given="Åsa", family="Östlund")), account("asa", user_name="asa.ostlund"))
    assert ids(await api.get("/v1/persons", params={"q": q})) == []


async def test_an_account_that_came_before_its_person_is_found_too(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(account(user_name="xerxes"))
    await world.says(person())
    assert ids(await api.get("/v1/persons", params={"q": "xer"})) == [str(uid("anna"))]
    await world.says(account(version=2, user_name="ypsilon"))
    assert ids(await api.get("/v1/persons", params={"q": "xer"})) == []
    assert ids(await api.get("/v1/persons", params={"q": "yps"})) == [str(uid("anna"))]


async def test_pages_follow_each_other_without_gap_or_overlap(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(*(person(f"p{number}", name=Name(given="Lika", family="Lika")) for number in range(7)))
    for path in ("/v1/persons", "/v1/cases"):
        seen: list[str] = []
        parameters: dict[str, Any] = {"limit": 3}
        while True:
            answer = await api.get(path, params=parameters)
            seen += ids(answer)
            if answer.json()["cursor"] is None:
                break
            parameters["cursor"] = answer.json()["cursor"]
        assert len(seen) == len(set(seen)) == 7


async def test_protected_people_are_absent_everywhere_by_default(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), person("bo", protection=Protection.MARKED))
    await world.says(evaluation("bo", steps=[held()]))
    hidden = str(uid("bo"))
    for path in ("/v1/persons", "/v1/persons?q=bo", "/v1/cases", "/v1/holds", "/v1/attention", "/v1/summary"):
        assert hidden not in (await api.get(path)).text
    for path in (f"/v1/persons/{hidden}", f"/v1/persons/{hidden}/timeline", f"/v1/cases/{uid('bo/hire')}"):
        answer = await api.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (await api.get(path, headers=ALL)).status_code == 200
    summary = (await api.get("/v1/summary")).json()
    assert sum(row["count"] for row in summary["cases"]) == 1
    assert summary["work"]["expected"] == 1
    assert summary["work"]["held"] == 0
    assert sum(row["count"] for row in (await api.get("/v1/cases")).json()["counts"]) == 1
    assert len(ids(await api.get("/v1/persons", headers=ALL))) == 2


async def test_another_organisation_sees_nothing(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation(steps=[held()]))
    other = token("bergby", f"{READ} persons:read_protected")
    for path in ("/v1/persons", "/v1/persons?q=anna", "/v1/cases", "/v1/holds"):
        assert (await api.get(path, headers=other)).json()["items"] == []
    assert (await api.get(f"/v1/persons/{uid('anna')}", headers=other)).status_code == 404
    assert (await api.get(f"/v1/cases/{uid('anna/hire')}", headers=other)).status_code == 404


async def test_a_person_shows_where_they_are(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person())
    about = f"/v1/persons/{uid('anna')}"
    assert (await api.get(about)).json()["place"] is None
    await world.says(placed(version=2, where="100", others=["900"]), placed(version=1, where="200"), unit())
    assert (await api.get(about)).json()["place"] == {
        "unit": {"unit": "100", "name": "Enhet 100 rev 1"},
        "memberships": [{"unit": "900", "name": None}],
        "changedAt": "2026-05-01T08:02:00Z",
    }
    await world.says(placed(version=3, where=None))
    found = (await api.get(about)).json()["place"]
    assert (found["unit"], found["memberships"]) == (None, [])


async def test_a_person_shows_what_is_wanted_what_is_there_and_why(api: httpx2.AsyncClient, world: World) -> None:
    later = T0 + timedelta(days=4000)
    steps = [
        step("account.disabled"),
        step("account.enabled", StepState.RETRYING),
        step("account.deleted", StepState.PLANNED, due=later),
    ]
    await world.says(person(), evaluation(steps=steps, next_due=later), account(state=AccountState.DISABLED))
    shown = (await api.get(f"/v1/persons/{uid('anna')}")).json()
    (target,) = shown["targets"]
    assert (target["desired"], target["observed"], target["userName"]) == ("enabled", "disabled", "anna.akesson")
    assert target["verifiedAt"] == "2026-05-01T08:11:00Z"
    assert target["why"] == [{"table": "accounts", "row": "r1", "employment": str(uid("employment"))}]
    assert [one["code"] for one in shown["remains"]] == ["account.enabled", "account.deleted"]
    assert [one["id"] for one in shown["cases"]] == [str(uid("anna/hire"))]


async def test_groups_and_licences_that_we_gave_are_told_with_the_row_that_gives_them_also_after_a_replay(
    api: httpx2.AsyncClient, world: World
) -> None:
    story = [
        person(),
        account(groups=["alla"], licences=["E3"]),
        evaluation(gives=[gives("alla", "everybody"), gives("rektorer", "heads")]),
        account(version=2, groups=["alla", "rektorer"], licences=["E3"]),
    ]
    for told in (story, [*reversed(story), *story]):
        await world.says(*told)
        (target,) = (await api.get(f"/v1/persons/{uid('anna')}")).json()["targets"]
        found = [(one["kind"], one["value"], one["given"], one["row"]) for one in target["entitlements"]]
        assert found == [
            ("group", "alla", True, "everybody"),
            ("group", "rektorer", True, "heads"),
            ("licence", "E3", True, None),
        ]
    await world.says(account(version=3, groups=["rektorer"]))
    (target,) = (await api.get(f"/v1/persons/{uid('anna')}")).json()["targets"]
    left = [(one["value"], one["given"], one["wanted"]) for one in target["entitlements"]]
    assert left == [("alla", False, True), ("rektorer", True, True)]


async def test_a_group_that_is_missing_or_was_taken_by_another_hand_says_so_itself(
    api: httpx2.AsyncClient, world: World
) -> None:
    rows = [gives("alla", "everybody"), gives("rektorer", "heads")]

    async def told(code: str, group: str, version: int) -> dict[str, tuple[bool, str | None]]:
        problem = Problem(code=code, failure=FailureClass.PERMANENT, parameters={"group": group})
        steps = [step("account.entitled", StepState.PARKED, problem=problem)]
        await world.says(evaluation(version=version, steps=steps, gives=rows))
        (target,) = (await api.get(f"/v1/persons/{uid('anna')}")).json()["targets"]
        return {one["value"]: (one["given"], (one["problem"] or {}).get("code")) for one in target["entitlements"]}

    await world.says(person(), account(groups=["alla", "rektorer"]))
    taken = "account.grant_taken_elsewhere"
    assert await told(taken, "alla, rektorer", 1) == {"alla": (False, taken), "rektorer": (False, taken)}
    await world.says(account(version=2, groups=["alla"]))
    missing = "account.group_missing"
    assert await told(missing, "rektorer", 2) == {"alla": (True, None), "rektorer": (False, missing)}


async def test_one_step_for_each_reason_remains_and_each_group_says_its_own(
    api: httpx2.AsyncClient, world: World
) -> None:
    def told(state: StepState, failure: FailureClass, code: str, **named: str) -> Step:
        problem = Problem(code=code, failure=failure, parameters={**named})
        return step("account.entitled", state, problem=problem, mandatory=state is not StepState.SKIPPED)

    missing, taken, left = "account.group_missing", "account.grant_taken_elsewhere", "account.grant_left"
    steps = [
        told(StepState.WAITING, FailureClass.WAITING, missing, group="ny, nyare"),
        told(StepState.PARKED, FailureClass.PERMANENT, taken, group="alla", licence="E3"),
        told(StepState.SKIPPED, FailureClass.WAITING, left, group="rektorer"),
    ]
    rows = [gives(group, "row") for group in ("alla", "ny", "nyare", "rektorer")]
    await world.says(person(), account(groups=["alla"], licences=["E3"]), evaluation(steps=steps, gives=rows))
    found = (await api.get(f"/v1/persons/{uid('anna')}")).json()
    assert [(one["code"], one["problem"]["code"]) for one in found["remains"]] == [
        ("account.entitled", missing),
        ("account.entitled", taken),
    ]
    (target,) = found["targets"]
    assert {one["value"]: (one["given"], one["problem"]["code"]) for one in target["entitlements"]} == {
        "alla": (False, taken),
        "E3": (False, taken),
        "ny": (False, missing),
        "nyare": (False, missing),
        "rektorer": (False, left),
    }
    needs = (await api.get("/v1/attention")).json()["items"]
    assert sorted((one["state"], one["problem"]["code"]) for one in needs) == [("parked", taken), ("waiting", missing)]


async def test_a_case_shows_its_steps_its_follow_ups_and_how_long_it_took(
    api: httpx2.AsyncClient, world: World
) -> None:
    later = T0 + timedelta(days=90)
    await world.says(person())
    waiting = (await api.get(f"/v1/cases/{uid('anna/hire')}")).json()
    assert [one["code"] for one in waiting["remains"]] == ["evaluation.pending"]
    assert waiting["evaluators"] == [
        {
            "service": "accounts",
            "target": "ldap",
            "handled": False,
            "revision": None,
            "asOf": None,
            "pausedAt": None,
        }
    ]
    await world.says(passed(), evaluation(steps=[step(), step("account.reviewed", StepState.PLANNED, due=later)]))
    done = (await api.get(f"/v1/cases/{uid('anna/hire')}")).json()
    assert (done["state"], done["seconds"], done["doneAt"]) == ("done", 60.0, "2026-05-01T08:11:00Z")
    assert [(one["code"], one["followUp"]) for one in done["remains"]] == [("account.reviewed", True)]
    assert [one["code"] for one in done["history"]] == ["account.enabled"]
    assert done["evaluators"][0]["handled"] is True


async def test_cases_are_filtered_and_counted(api: httpx2.AsyncClient, world: World) -> None:
    future = T0 + timedelta(days=4000)
    await world.says(
        person(),
        evaluation(),
        person("bo", effective=future),
        person("cia"),
        evaluation("cia", steps=[held()]),
        person("dag", type_=PERSON_MOVER, reason=Reason.TRANSFER),
    )
    answer = (await api.get("/v1/cases", params={"state": "waiting"})).json()
    assert [item["name"] for item in answer["items"]] == ["Bo Åkesson"]
    counted = {(row["kind"], row["state"]): row["count"] for row in answer["counts"]}
    assert counted == {
        ("joiner", "done"): 1,
        ("joiner", "waiting"): 1,
        ("joiner", "attention"): 1,
        ("mover", "running"): 1,
    }
    for parameters, names in (
        ({"state": "done"}, ["Anna Åkesson"]),
        ({"state": "attention"}, ["Cia Åkesson"]),
        ({"kind": "mover"}, ["Dag Åkesson"]),
        ({"reason": "transfer"}, ["Dag Åkesson"]),
        ({"since": "2036-01-01T00:00:00Z"}, []),
    ):
        found = (await api.get("/v1/cases", params=parameters)).json()["items"]
        assert [item["name"] for item in found] == names, parameters


async def test_a_waiting_case_begins_by_business_time_alone(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(effective=T0 + timedelta(days=4000)))
    path = f"/v1/cases/{uid('anna/hire')}"
    assert (await api.get(path)).json()["state"] == "waiting"
    await world.rows("UPDATE kernel.clock SET clock_offset = interval '5000 days' RETURNING 1")
    assert (await api.get(path)).json()["state"] == "running"


async def test_the_timeline_is_paged_newest_first(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), passed(), account(), person(revision=2, reason=Reason.NAME_CHANGE), passed(epoch=2))
    path = f"/v1/persons/{uid('anna')}/timeline"
    whole = (await api.get(path)).json()["items"]
    assert [item["source"] for item in whole] == ["step", "revision", "step", "account", "revision"]
    first = (await api.get(path, params={"limit": 2})).json()
    rest = (await api.get(path, params={"limit": 200, "cursor": first["cursor"]})).json()
    assert first["items"] + rest["items"] == whole
    assert rest["cursor"] is None


async def test_holds_are_listed_with_what_releases_them(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), person("bo"), evaluation(steps=[held()]), passed("bo", state=StepState.PARKED))
    (hold,) = (await api.get("/v1/holds")).json()["items"]
    assert (hold["hold"], hold["code"], hold["state"]) == (str(uid("hold")), "account.disabled", "held")
    first = (await api.get("/v1/attention", params={"limit": 1})).json()
    second = (await api.get("/v1/attention", params={"limit": 1, "cursor": first["cursor"]})).json()
    assert {first["items"][0]["state"], second["items"][0]["state"]} == {"held", "parked"}
    assert second["cursor"] is None


async def test_operations_are_told_which_services_keep_messages_that_could_not_be_read(
    api: httpx2.AsyncClient, status_url: str
) -> None:
    with psycopg.connect(status_url, autocommit=True) as admin:
        admin.execute(
            "INSERT INTO kernel.dead_letter (service, id, organisation)"
            " VALUES ('accounts', gen_random_uuid(), 'alvsund'), ('accounts', gen_random_uuid(), NULL),"
            " ('ingestion', gen_random_uuid(), 'bergby')"
        )
    assert (await api.get("/v1/attention")).json()["deadLetters"] is None
    operator = token(scopes=f"{READ} operations:read")
    assert (await api.get("/v1/attention", headers=operator)).json()["deadLetters"] == {"accounts": 2}


async def test_what_waits_needs_a_hand_only_from_the_time_on_at_which_it_was_due(
    api: httpx2.AsyncClient, world: World
) -> None:
    unknown = Problem(code="unit.unknown", failure=FailureClass.WAITING, parameters={"unit": "999"})

    def waits(who: str, due: datetime) -> Incoming:
        return evaluation(who, steps=[step("account.department", StepState.WAITING, problem=unknown, due=due)])

    late, early = T0 + timedelta(days=1), T0 + timedelta(days=4000)
    await world.says(person(), person("bo"), waits("anna", late), waits("bo", early))
    (item,) = (await api.get("/v1/attention")).json()["items"]
    assert (item["person"], item["state"], item["code"]) == (str(uid("anna")), "waiting", "account.department")
    assert item["problem"]["parameters"] == {"unit": "999"}
    assert datetime.fromisoformat(item["due"]) == late
    await world.says(evaluation(version=2))
    assert (await api.get("/v1/attention")).json()["items"] == []


async def test_after_a_restore_only_what_has_seen_the_restored_record_is_settled(
    api: httpx2.AsyncClient, world: World
) -> None:
    await world.says(person(revision=1), evaluation(revision=5))
    assert (await api.get("/v1/summary")).json()["work"]["settled"] == 1
    await world.says(person(revision=2, generation=2, case="again"))
    assert (await api.get("/v1/summary")).json()["work"]["settled"] == 0
    await world.says(evaluation(version=2, revision=2, record_generation=2))
    assert (await api.get("/v1/summary")).json()["work"]["settled"] == 1


async def test_the_summary_tells_how_far_the_work_is(api: httpx2.AsyncClient, world: World) -> None:
    due = T0 + timedelta(days=4000)
    await world.says(
        person(), person("bo"), evaluation(next_due=due), evaluation("bo", steps=[step(state=StepState.RETRYING)])
    )
    summary = (await api.get("/v1/summary", params={"days": 366})).json()
    assert summary["work"] == {"expected": 2, "settled": 1, "held": 0, "parked": 0, "retrying": 1, "waiting": 0}
    assert summary["dueNext"] == {"at": due.isoformat().replace("+00:00", "Z"), "count": 1}
    assert summary["leadTimes"] == []
    await world.says(person(revision=2, reason=Reason.NAME_CHANGE, case="n"))
    assert (await api.get("/v1/summary")).json()["work"]["settled"] == 0


async def test_every_read_of_people_is_audited_without_their_names(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation(steps=[held()]))
    await api.get("/v1/persons", params={"q": "anna"})
    await api.get(f"/v1/persons/{uid('anna')}")
    await api.get(f"/v1/persons/{uid('anna')}/timeline")
    await api.get(f"/v1/cases/{uid('anna/hire')}")
    await api.get("/v1/cases")
    await api.get("/v1/holds")
    await api.get(f"/v1/persons/{uuid4()}")
    records = await audit(world)
    assert [record["action"] for record in records] == [
        "persons.listed",
        "person.read",
        "person.timeline_read",
        "case.read",
        "cases.listed",
        "attention.listed",
        "person.read",
    ], "the last one was denied, or found nobody: the asker cannot tell, the log can"
    assert all(record["actor"] == "it@alvsund" and record["key"] == "bulk.audit.recorded" for record in records)
    assert [record["persons"] for record in records if record["action"].endswith("listed")] == [[str(uid("anna"))]] * 3
    assert "anna" not in str(records).lower().replace("it@alvsund", "")


async def test_a_page_that_looks_again_by_itself_is_audited_once_an_hour(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), person("bo"))
    read = f"/v1/persons/{uid('anna')}"
    poll = {"Stafett-Poll": "1"}
    ((now,),) = await world.rows("SELECT now()")
    lately: dict[str, Any] = {"at": now}
    await world.says(
        audited("person.read", actor="it@alvsund", subject=str(uid("anna")), **lately),
        audited("cases.listed", actor="it@alvsund", persons=(uid("anna"),), **lately),
        audited("attention.listed", actor="another@alvsund", persons=(uid("anna"), uid("bo")), **lately),
    )
    await api.get(read, headers=poll)
    assert await audit(world) == [], "the page has shown her within the hour"
    await api.get("/v1/cases", headers=poll)
    assert [record["persons"] for record in await audit(world)] == [[str(uid("bo"))]], "he is new on the page"
    await api.get(read)
    await api.get(f"/v1/persons/{uid('bo')}", headers=poll)
    assert [record["action"] for record in await audit(world)][1:] == ["person.read", "person.read"]


async def test_what_needs_a_hand_is_filtered_before_it_is_cut_into_pages(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation(steps=[held()]), person("bo"), passed("bo", state=StepState.PARKED))
    for state in ("held", "parked"):
        page = (await api.get("/v1/attention", params={"state": state, "limit": 1})).json()
        assert ([one["state"] for one in page["items"]], page["cursor"]) == ([state], None)
    assert (await api.get("/v1/attention", params={"state": "verified"})).status_code == 422


async def test_the_audit_names_whom_the_reader_may_see(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), person("bo", protection=Protection.MARKED))
    for name in ("anna", "bo"):
        await world.says(audited(f"{name}.read", subject=str(uid(name))))
    await world.says(audited("odd.read", subject="no id"))
    seen = (await api.get("/v1/audit", headers=token(scopes="audit:read persons:read"))).json()["items"]
    assert {one["action"]: bool(one["name"]) for one in seen} == {
        "anna.read": True,
        "bo.read": False,
        "odd.read": False,
    }
    unseen = (await api.get("/v1/audit", headers=token(scopes="audit:read"))).json()["items"]
    assert [one["name"] for one in unseen] == [None] * 3


async def test_whoever_asks_why_is_told_that_the_target_is_paused(
    api: httpx2.AsyncClient, database: Database, world: World
) -> None:
    await world.says(person(), person("bo"), person("cilla"), evaluation("bo", as_of=T0), evaluation("cilla"))
    await world.says(person("cilla", revision=2))
    assert (await api.get("/v1/attention")).json()["paused"] == []

    async def seen(who: str) -> tuple[list[str], list[bool]]:
        found = (await api.get(f"/v1/persons/{uid(who)}")).json()
        return [one["code"] for one in found["remains"]], [bool(one["pausedAt"]) for one in found["targets"]]

    assert [await seen(who) for who in ("anna", "bo", "cilla")] == [([], []), ([], [False]), ([], [False])]
    async with database.transaction() as conn:
        await conn.execute("UPDATE kernel.evaluator SET paused_at = now() WHERE target = 'ldap'")
    assert [await seen(who) for who in ("anna", "bo", "cilla")] == [
        (["target.paused"], []),
        ([], [True]),
        (["target.paused"], [True]),
    ], "who is settled waits for nothing"
    (case,) = (await api.get("/v1/cases", params={"person": str(uid("anna"))})).json()["items"]
    detail = (await api.get(f"/v1/cases/{case['id']}")).json()
    assert [one["code"] for one in detail["remains"]] == ["target.paused"]
    assert detail["evaluators"][0]["pausedAt"]
    (paused,) = (await api.get("/v1/attention")).json()["paused"]
    assert (paused["service"], paused["target"]) == ("accounts", "ldap")


@pytest.mark.parametrize(
    ("method", "path", "scopes"),
    [
        ("GET", "/v1/persons", "cases:read"),
        ("GET", f"/v1/persons/{NOBODY}", "cases:read"),
        ("GET", f"/v1/persons/{NOBODY}/timeline", "cases:read"),
        ("GET", "/v1/cases", "persons:read"),
        ("GET", f"/v1/cases/{NOBODY}", "persons:read"),
        ("GET", "/v1/summary", "persons:read"),
        ("GET", "/v1/holds", "persons:read"),
        ("GET", "/v1/attention", "persons:read"),
        ("POST", "/v1/commands", "persons:read cases:read"),
        ("POST", "/v1/replays", "persons:read cases:read"),
    ],
)
async def test_every_route_needs_its_scope_and_an_organisation_served_here(
    api: httpx2.AsyncClient, method: str, path: str, scopes: str
) -> None:
    body = {"type": "retry", "service": "accounts", "reason": "prov", "to": "status"}
    for headers, status in (
        ({"Authorization": ""}, 401),
        (token(scopes=scopes), 403),
        (token("okand"), 403),
    ):
        answer = await api.request(method, path, headers=headers, json=body if method == "POST" else None)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/persons?cursor=x",
        "/v1/persons?cursor=WyJhIiwiYiJd",
        "/v1/cases?cursor=WyJhIiwiYiJd",
        "/v1/holds?cursor=WyJhIiwiYiIsImMiLCJkIiwiZSJd",
        "/v1/persons?limit=201",
        "/v1/persons?limit=0",
        "/v1/persons/not-a-uuid",
        "/v1/cases?state=sideways",
        "/v1/cases?since=2026-01-01T00:00:00",
    ],
)
async def test_what_does_not_follow_the_api_is_a_problem(api: httpx2.AsyncClient, path: str) -> None:
    answer = await api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["errors"]


async def test_a_done_case_stays_done_when_accounts_has_trouble_later(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation())
    await world.says(evaluation(version=2, at=5000, steps=[step(state=StepState.PARKED)]))
    shown = (await api.get(f"/v1/cases/{uid('anna/hire')}")).json()
    assert (shown["state"], shown["doneAt"]) == ("done", minutes(11).isoformat().replace("+00:00", "Z"))


async def test_lead_times_are_shown_of_five_and_more(api: httpx2.AsyncClient, world: World) -> None:
    for number in range(6):
        await world.says(person(f"b{number}", baseline=True), evaluation(f"b{number}"))
    for number in range(5):
        assert (await api.get("/v1/summary", params={"days": 366})).json()["leadTimes"] == []
        await world.says(person(f"p{number}"), evaluation(f"p{number}"))
    (joiners,) = (await api.get("/v1/summary", params={"days": 366})).json()["leadTimes"]
    assert (joiners["kind"], joiners["count"]) == ("joiner", 5)


@pytest.mark.parametrize("q", ["\u0301", "\x00", "\u0301 \x00"])
async def test_what_holds_no_word_finds_nobody(api: httpx2.AsyncClient, world: World, q: str) -> None:
    await world.says(person())
    assert ids(await api.get("/v1/persons", params={"q": q})) == []


GLASS = token(scopes="persons:read persons:break_glass")


async def test_broken_glass_is_in_the_audit_before_anything_is_seen(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person("göta", protection=Protection.MARKED))
    for body in ({"person": str(uid("göta")), "reason": " ärende 17 "}, {"search": True, "reason": "ärende 18"}):
        answer = await api.post("/v1/audit/glass", json=body, headers=GLASS)
        assert answer.status_code == 201, answer.text
    assert [(row["action"], row["subject"], row["reason"], row["parameters"]) for row in await audit(world)] == [
        ("glass.broken", str(uid("göta")), "ärende 17", {"opened": "person"}),
        ("glass.broken", None, "ärende 18", {"opened": "search"}),
    ]


async def test_glass_needs_a_right_a_reason_and_one_thing_to_see(api: httpx2.AsyncClient, world: World) -> None:
    known = str(uid("göta"))
    await world.says(person("göta", protection=Protection.MARKED))
    for body in (
        {"person": known, "reason": " "},
        {"person": known, "reason": "a\tb"},
        {"person": known, "reason": "x" * 201},
        {"person": known},
        {"person": known, "search": True, "reason": "x"},
        {"reason": "x"},
        {"search": "Göta", "reason": "x"},
    ):
        assert (await api.post("/v1/audit/glass", json=body, headers=GLASS)).status_code == 422, body
    body = {"person": known, "reason": "x"}
    assert (await api.post("/v1/audit/glass", json=body)).status_code == 403
    assert await audit(world) == []
    unknown = await api.post("/v1/audit/glass", json={**body, "person": str(uid("nobody"))}, headers=GLASS)
    assert unknown.status_code == 404
    assert [(row["action"], row["parameters"]["shown"]) for row in await audit(world)] == [("glass.broken", False)]


async def test_a_read_that_is_denied_is_audited(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person("bo", protection=Protection.MARKED))
    hidden = uid("bo")
    for path in (f"/v1/persons/{hidden}", f"/v1/persons/{hidden}/timeline", f"/v1/cases/{uid('bo/hire')}"):
        assert (await api.get(path)).status_code == 404
    assert [(row["action"], row["subject"], row["parameters"]["shown"]) for row in await audit(world)] == [
        ("person.read", str(hidden), False),
        ("person.timeline_read", str(hidden), False),
        ("case.read", None, False),
    ]


async def test_cases_of_one_person_are_listed_closed_ones_too(api: httpx2.AsyncClient, world: World) -> None:
    await world.says(person(), evaluation(), person("bo"))
    answer = await api.get("/v1/cases", params={"person": str(uid("anna")), "limit": 1})
    assert ids(answer) == [str(uid("anna/hire"))]
    assert [(row["state"], row["count"]) for row in answer.json()["counts"]] == [("done", 1)]


async def test_who_is_erased_is_gone_from_lists_and_the_case_goes_on_without_a_name(
    api: httpx2.AsyncClient, world: World
) -> None:
    await world.says(person("dan"), evaluation("dan"), person("eva"), account("dan", user_name="dan.akesson"))
    await world.says(person("dan", revision=2, reason=Reason.ERASED, case="dan/erased", erased=True))
    for query in ("", "?q=dan", "?q=akesson"):
        found = (await api.get(f"/v1/persons{query}")).json()["items"]
        assert uid("dan") not in {UUID(item["id"]) for item in found}, query
    for path in ("", "/timeline"):
        gone = await api.get(f"/v1/persons/{uid('dan')}{path}")
        assert (gone.status_code, gone.json()["code"]) == (410, "person.erased")
    listed = (await api.get(f"/v1/cases?person={uid('dan')}")).json()["items"]
    assert {(case["reason"], case["name"]) for case in listed} == {("hire", ""), ("erased", "")}
