"""What the Graph simulator does on demand: lag, throttling, storms, lost answers, and its own log and page."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.simulators.graph.calls import Call
from deploy.simulators.graph.faults import FaultKind
from deploy.simulators.graph.journal import Journal
from deploy.simulators.graph.seeds import sow
from deploy.simulators.graph.service import Limits, Service
from deploy.simulators.graph.tenants import World
from tests.support.graph import CONTROL_TOKEN, TENANT, tenant_seed
from tests.support.graph_in_process import EVENTUAL, Graph, error, graph_in_process, user_body


def step(identifier: str, method: str, url: str, body: Any = None, **fields: Any) -> dict[str, Any]:
    content = {} if body is None else {"body": body, "headers": {"Content-Type": "application/json"}}
    return {"id": identifier, "method": method, "url": url, **content, **fields}


async def batch(graph: Graph, *steps: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = await graph.http.post("/$batch", json={"requests": list(steps)})
    assert answer.status_code == 200, answer.text
    return {one["id"]: one for one in answer.json()["responses"]}


async def test_reads_lag_behind_writes_and_catch_up(near: Graph) -> None:
    await near.control.put(f"/control/tenants/{TENANT}/lag", json={"seconds": 30})
    anna = await near.create(employeeId="7")
    assert (await near.http.get(f"/users/{anna}")).status_code == 404
    by_number = {"$filter": "employeeId eq '7'", "$count": "true"}
    assert (await near.http.get("/users", params=by_number, headers=EVENTUAL)).json()["@odata.count"] == 0
    assert (await near.http.post("/users", json=user_body())).status_code == 400
    assert (await near.http.patch(f"/users/{anna}", json={"jobTitle": "Rektor"})).status_code == 204
    near.service.world.clock.advance(31)
    assert (await near.shown(anna, "jobTitle"))["jobTitle"] == "Rektor"
    await near.http.delete(f"/users/{anna}")
    assert (await near.http.get(f"/users/{anna}")).status_code == 200
    near.service.world.clock.advance(31)
    assert (await near.http.get(f"/users/{anna}")).status_code == 404


async def test_a_batch_answers_each_item_by_itself_in_any_order(near: Graph) -> None:
    anna = await near.create()
    answers = await batch(
        near,
        step("a", "PATCH", f"/users/{anna}", {"jobTitle": "Rektor"}),
        step("b", "GET", f"/users/{anna}?$select=jobTitle", dependsOn=["a"]),
        step("c", "PATCH", "/users/nobody", {"jobTitle": "x"}),
        step("d", "DELETE", f"/users/{anna}", dependsOn=["c"]),
        step("e", "GET", "/users", dependsOn=["d"]),
    )
    assert {name: answer["status"] for name, answer in answers.items()} == {
        "a": 204, "b": 200, "c": 404, "d": 424, "e": 424,
    }  # fmt: skip
    assert answers["b"]["body"]["jobTitle"] == "Rektor"
    assert (await near.http.get(f"/users/{anna}")).status_code == 200


@pytest.mark.parametrize(
    "steps",
    [
        [],
        [step(str(number), "GET", "/users") for number in range(21)],
        [step("a", "GET", "/users"), step("a", "GET", "/users")],
        [step("a", "GET", "/users", dependsOn=["b"])],
        [step("a", "GET", "/users", dependsOn=["b"]), step("b", "GET", "/users", dependsOn=["a"])],
        [step("a", "GET", "users")],
        [{"id": "a", "method": "POST", "url": "/users", "body": {}}],
    ],
)
async def test_a_batch_that_is_wrong_does_nothing(near: Graph, steps: list[dict[str, Any]]) -> None:
    assert error(await near.http.post("/$batch", json={"requests": steps})) == (400, "BadRequest")


async def test_a_storm_throttles_items_of_a_batch_and_not_the_batch(near: Graph) -> None:
    near.fault(FaultKind.THROTTLE, times=1, retry_after=7)
    answers = await batch(near, step("a", "GET", "/users"), step("b", "GET", "/users"))
    assert sorted(answer["status"] for answer in answers.values()) == [200, 429]
    throttled = next(answer for answer in answers.values() if answer["status"] == 429)
    assert throttled["headers"]["Retry-After"] == "7"


async def test_a_storm_of_five_minutes_tells_how_much_is_left(near: Graph) -> None:
    asked = {"kind": "throttle", "seconds": 300, "percentage": 1.2}
    await near.control.post("/control/faults", json=asked)
    near.service.world.clock.advance(100)
    refused = await near.http.get("/users")
    assert error(refused) == (429, "TooManyRequests")
    assert 199 <= int(refused.headers["Retry-After"]) <= 200
    assert refused.headers["x-ms-throttle-limit-percentage"] == "1.20"
    near.service.world.clock.advance(201)
    assert (await near.http.get("/users")).status_code == 200


async def test_the_write_budget_is_counted_per_window_and_reads_are_free() -> None:
    async with graph_in_process(limits=Limits(writes=5, window=150)) as graph:
        users = [await graph.create(f"user{number}") for number in range(3)]
        fourth = await graph.http.patch(f"/users/{users[0]}", json={"jobTitle": "x"})
        assert "x-ms-throttle-limit-percentage" not in fourth.headers
        fifth = await graph.http.patch("/users/nobody", json={"jobTitle": "x"})
        assert (fifth.status_code, fifth.headers["x-ms-throttle-limit-percentage"]) == (404, "1.00")
        refused = await graph.http.patch(f"/users/{users[0]}", json={"jobTitle": "y"})
        assert error(refused) == (429, "TooManyRequests")
        assert 0 < int(refused.headers["Retry-After"]) <= 150
        assert (await graph.http.get("/users")).status_code == 200
        graph.service.world.clock.advance(int(refused.headers["Retry-After"]))
        assert (await graph.http.patch(f"/users/{users[0]}", json={"jobTitle": "y"})).status_code == 204


async def test_a_storm_of_errors_hits_its_share_and_the_same_seed_the_same_requests() -> None:
    async def struck() -> list[int]:
        async with graph_in_process() as graph:
            graph.fault(FaultKind.ERROR, status=503, rate=0.3)
            return [(await graph.http.get("/users")).status_code for _ in range(100)]

    first = await struck()
    assert first == await struck()
    assert 15 <= first.count(503) <= 45


async def test_an_answer_is_lost_after_the_deed(near: Graph) -> None:
    near.fault(FaultKind.LOST_ANSWER, method="POST", path="/v1.0/users", times=1, hang=0)
    assert (await near.http.post("/users", json=user_body())).status_code == 504
    assert error(await near.http.post("/users", json=user_body())) == (400, "Request_BadRequest")
    records = [one for one in near.service.journal.last(9) if one.changes]
    assert [(one.status, one.fault) for one in records] == [(504, "fault-0")]


async def test_a_token_expires_in_mid_batch(near: Graph) -> None:
    near.fault(FaultKind.EXPIRED_TOKEN, path="/v1.0/users*", skip=1, times=1)
    first, second = step("a", "GET", "/users"), step("b", "GET", "/users", dependsOn=["a"])
    answers = await batch(near, first, second, step("c", "GET", "/users"))
    assert [answers[name]["status"] for name in "abc"] == [200, 401, 401]
    await near.renew()
    assert (await near.http.get("/users")).status_code == 200


async def test_the_service_is_down_and_up(near: Graph) -> None:
    await near.control.put("/control/down", json={"open": False})
    assert (await near.http.get("/users")).status_code == 503
    assert (await near.token()).status_code == 503
    await near.control.delete("/control/faults")
    assert (await near.http.get("/users")).status_code == 200


async def test_the_log_tells_every_request_and_what_it_changed(near: Graph) -> None:
    anna = await near.create()
    await batch(near, step("a", "PATCH", f"/users/{anna}", {"jobTitle": "Rektor"}))
    await near.http.get("/users", headers={"client-request-id": "mine"})
    records = (await near.control.get("/control/log")).json()["records"]
    assert [one["number"] for one in sorted(records, key=lambda one: one["number"])] == [1, 2, 3, 4, 5]
    changed = (await near.control.get("/control/log", params={"change": "user.jobTitle"})).json()["records"]
    assert [(one["method"], one["batch"]) for one in changed] == [("PATCH", 3)]
    assert records[-1]["client_request_id"] == "mine"
    created = (await near.control.get("/control/log", params={"change": "user.created"})).json()["records"]
    assert len(created) == 1


def test_the_log_is_also_lines_of_json(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    journal = Journal(file)
    service = Service(World(), journal)
    sow(service.world, tenant_seed())
    service.answer(Call("GET", "/v1.0/users"), "https://graph.test")
    journal.close()
    assert [json.loads(line)["status"] for line in file.read_text().splitlines()] == [401]


async def test_control_wants_its_own_token_and_graph_has_no_control(near: Graph) -> None:
    for header in ("", "Bearer wrong", near.http.headers["Authorization"]):
        refused = await near.control.post("/control/reset", headers={"Authorization": header})
        assert refused.status_code == 401
    address = "https://graph.test/control/reset"
    assert (await near.http.post(address, headers={"Authorization": f"Bearer {CONTROL_TOKEN}"})).status_code == 404


async def test_a_reset_forgets_all_and_the_limits_are_those_of_the_start(near: Graph) -> None:
    anna = await near.create()
    await near.control.put("/control/budget", json={"limit": 1, "window": 1})
    near.fault(FaultKind.ERROR)
    assert (await near.control.post("/control/reset")).status_code == 200
    assert (await near.control.get(f"/control/tenants/{TENANT}")).status_code == 404
    await near.control.post("/control/tenants", json=tenant_seed().model_dump(mode="json"))
    await near.renew()
    assert (await near.http.get(f"/users/{anna}")).status_code == 404
    assert near.service.budget.limit == 3_000


async def test_a_seed_with_an_unknown_property_is_refused(near: Graph) -> None:
    seed = {**tenant_seed().model_dump(mode="json"), "users": [{"properties": {"shoeSize": 43}}]}
    assert (await near.control.post("/control/tenants", json=seed)).status_code == 422


@pytest.mark.parametrize(("language", "word"), [("sv", "Användare"), ("en", "Users")])
async def test_the_page_shows_what_is_in_it(near: Graph, language: str, word: str) -> None:
    await near.create(displayName="<b>Anna</b>")
    near.fault(FaultKind.THROTTLE, times=1)
    page = (await near.control.get("/", params={"lang": language}, headers={"Authorization": ""})).text
    assert f'<html lang="{language}"' in page
    assert word in page
    assert "&lt;b&gt;Anna&lt;/b&gt;" in page
    assert "<b>Anna" not in page
    assert "POST /v1.0/users" in page
