"""The client of Microsoft Graph: sign-in by secret and certificate, pages, batches, pace, and what is logged."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from typing_extensions import override

from services.kernel.directory import Answer, Graph, NoSuchEntry, Request
from services.kernel.failures import Failure, Permanent, Throttled, Transient, Unavailable
from services.kernel.metrics.instruments import GRAPH_OPERATION
from tests.support.entra import CLIENT, GraphUnderTest, graph_under_test, key_and_certificate
from tests.support.kernel import eventually


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[GraphUnderTest]:
    async with graph_under_test(tmp_path) as here:
        yield here


@pytest.fixture
async def graph(simulator: GraphUnderTest) -> AsyncIterator[Graph]:
    client = Graph(simulator.access())
    yield client
    await client.close()


def users(simulator: GraphUnderTest, count: int) -> list[str]:
    simulator.sow(users=tuple(simulator.user(mailNickname=f"n{number}") for number in range(count)))
    return [entry.id for entry in simulator.users()]


def titled(id_: str, title: str = "Rektor") -> Request:
    return Request("PATCH", "/users/{id}", {"id": id_}, body={"jobTitle": title})


async def test_a_certificate_signs_in_and_another_one_is_refused_by_name(simulator: GraphUnderTest) -> None:
    private, certificate = key_and_certificate()
    app = simulator.tenant.apps[CLIENT]
    registered = (x509.load_pem_x509_certificate(certificate.encode()),)
    simulator.tenant.apps[CLIENT] = type(app)(app.id, app.name, (), registered, app.roles)
    right = Graph(simulator.access(secret=None, private_key=private, certificate=certificate))
    await right.probe()
    await right.close()
    private, certificate = key_and_certificate()
    wrong = Graph(simulator.access(secret=None, private_key=private, certificate=certificate))
    with pytest.raises(Unavailable) as refused:
        await wrong.probe()
    assert refused.value.code == "graph.certificate_unknown"
    await wrong.close()


async def test_a_token_is_fetched_once_for_many_and_anew_before_it_ends(simulator: GraphUnderTest) -> None:
    simulator.service.tokens.lifetime = 2
    graph = Graph(simulator.access())
    await asyncio.gather(*(graph.probe() for _ in range(5)))
    assert len([one for one in simulator.log() if one.path.endswith("/token")]) == 1

    async def renewed() -> bool:
        await graph.probe()
        return len([one for one in simulator.log() if one.path.endswith("/token")]) > 1

    await eventually(renewed, seconds=10)
    assert {one.status for one in simulator.log()} == {200}
    await graph.close()


async def test_all_pages_are_read_and_only_from_the_same_service(simulator: GraphUnderTest, graph: Graph) -> None:
    ids = users(simulator, 7)
    request = Request("GET", "/users", query={"$top": "3", "$select": "id"})
    pages = [page async for page in graph.pages(request)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert sorted(user["id"] for page in pages for user in page) == sorted(ids)
    astray = Astray(simulator.access())
    with pytest.raises(Permanent) as refused:
        async for _ in astray.pages(request):
            pass
    assert refused.value.code == "graph.page_elsewhere"
    await astray.close()


class Astray(Graph):
    """Sees answers whose next page is on another host."""

    @override
    async def _retried(self, request: Request, url: str, deadline: float | None) -> Answer:
        answer = await super()._retried(request, url, deadline)
        there = f"{self.root}.evil.example/users".replace("/v1.0.evil", ".evil")
        return Answer(answer.status, {**answer.body, "@odata.nextLink": there}, answer.headers)


async def test_a_batch_tells_what_became_of_each(simulator: GraphUnderTest, graph: Graph) -> None:
    ids = users(simulator, 18)
    requests = [*(titled(id_) for id_ in ids), titled("nobody"), Request("GET", "/users/{id}", {"id": ids[0]})]
    results = await graph.batch(requests, subject="test")
    assert [type(result) for result in results] == [*[Answer] * 18, NoSuchEntry, Answer]
    assert len(simulator.log("user.jobTitle")) == 18
    with pytest.raises(Permanent):
        await graph.batch([titled(ids[0])] * 21, subject="test")


async def test_what_is_throttled_by_itself_is_sent_again_by_itself(simulator: GraphUnderTest, graph: Graph) -> None:
    ids = users(simulator, 4)
    simulator.fault("throttle", method="PATCH", path=f"*/{ids[2]}", retry_after=1, times=1)
    results = await graph.batch([titled(id_) for id_ in ids], subject="test")
    assert [isinstance(result, Answer) for result in results] == [True] * 4
    asked = [one.path.rsplit("/", 1)[-1] for one in simulator.log() if one.method == "PATCH"]
    assert sorted(asked) == sorted([*ids, ids[2]])


async def test_in_an_ordered_batch_nothing_after_a_failure_is_begun(simulator: GraphUnderTest, graph: Graph) -> None:
    one, two = users(simulator, 2)
    results = await graph.batch([titled(one), titled("nobody"), titled(two)], subject="test", ordered=True)
    assert isinstance(results[0], Answer)
    assert [result.code for result in results if isinstance(result, Failure)] == [
        "directory.no_such_entry",
        "graph.not_begun",
    ]
    assert len(simulator.log("user.jobTitle")) == 1
    simulator.fault("throttle", method="PATCH", path=f"*/{one}", retry_after=1, times=1)
    results = await graph.batch([titled(one, "a"), titled(two, "b")], subject="test", ordered=True)
    assert all(isinstance(result, Answer) for result in results)
    assert len(simulator.log("user.jobTitle")) == 3


async def test_an_item_that_stays_throttled_is_left_to_the_next_pass(simulator: GraphUnderTest, graph: Graph) -> None:
    (one,) = users(simulator, 1)
    simulator.fault("throttle", method="PATCH", path=f"*/{one}", retry_after=120)
    deadline = asyncio.get_running_loop().time() + 20
    (result,) = await graph.batch([titled(one)], subject="test", deadline=deadline)
    assert isinstance(result, Throttled)
    assert result.retry_after == 120


async def test_each_call_has_an_id_of_its_own_and_nothing_of_a_person_is_logged(
    simulator: GraphUnderTest, graph: Graph, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = users(simulator, 1)
    with pytest.raises(NoSuchEntry):
        await graph.read(Request("GET", "/users/{id}", {"id": "anna.andersson@alvsund.example"}))
    with pytest.raises(Failure):
        await graph.write(Request("PATCH", "/users/{id}", {"id": ids[0]}, body={"mail": 17}), subject="subject")
    said = [one.client_request_id for one in simulator.log() if one.path.startswith("/v1.0")]
    assert len(set(said)) == len(said) == 2
    assert None not in said
    printed = capsys.readouterr()
    logged = printed.out + printed.err
    assert "GET /users/{id}" in logged
    assert "anna" not in logged
    assert "test-only-secret" not in logged + repr(graph.__dict__) + json.dumps(repr(simulator.access()))


async def test_calls_are_counted_by_template_and_outcome(simulator: GraphUnderTest, graph: Graph) -> None:
    def counted(outcome: str) -> float:
        labels = {"operation": "GET /users/{id}", "outcome": outcome}
        return next(
            (s.value for m in GRAPH_OPERATION.collect() for s in m.samples
             if s.name.endswith("_count") and s.labels == labels),
            0.0,
        )  # fmt: skip

    before = {outcome: counted(outcome) for outcome in ("done", "refused")}
    ids = users(simulator, 1)
    await graph.read(Request("GET", "/users/{id}", {"id": ids[0]}))
    with pytest.raises(NoSuchEntry):
        await graph.read(Request("GET", "/users/{id}", {"id": "nobody"}))
    assert {outcome: counted(outcome) - before[outcome] for outcome in before} == {"done": 1, "refused": 1}


async def test_after_closing_everything_is_unavailable(simulator: GraphUnderTest) -> None:
    graph = Graph(simulator.access())
    await graph.probe()
    await graph.close()
    with pytest.raises(Unavailable) as closed:
        await graph.probe()
    assert closed.value.code == "directory.closed"


async def test_writes_keep_within_a_budget_that_is_small(tmp_path: Path) -> None:
    async with graph_under_test(tmp_path, limit=50, window=5.0) as simulator:
        graph = Graph(simulator.access(writes=50, window=5.0))
        ids = users(simulator, 60)
        await asyncio.gather(*(graph.write(titled(id_), subject="test") for id_ in ids))
        assert {one.status for one in simulator.log() if one.method == "PATCH"} == {204}
        soon = asyncio.get_running_loop().time() + 5.01
        with pytest.raises(Transient) as short:
            await asyncio.gather(*(graph.write(titled(id_), subject="test", deadline=soon) for id_ in ids))
        assert short.value.code == "directory.lease_short"
        await graph.close()
