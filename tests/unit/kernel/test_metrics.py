"""Metrics: requests are timed under their route's template, messages counted under topics that are ours."""

from collections.abc import Iterable
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from services.kernel.gauges import family
from services.kernel.metrics import instruments
from services.kernel.metrics.exposition import Exposition
from services.kernel.metrics.requests import Requests


def app() -> FastAPI:
    found = FastAPI()
    found.add_middleware(Requests)
    router = APIRouter(prefix="/things")

    @router.get("/{thing}")
    async def thing(thing: str) -> str:
        if thing == "broken":
            raise RuntimeError("Anna Andersson")
        return thing

    found.include_router(router)
    return found


async def ask(method: str, path: str) -> int:
    transport = httpx2.ASGITransport(app=app(), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
        return (await client.request(method, path)).status_code


def count(**labels: str) -> float:
    return instruments.REGISTRY.get_sample_value("stafett_http_request_duration_seconds_count", labels) or 0.0


@pytest.mark.parametrize(
    ("method", "path", "label", "route", "status"),
    [
        ("GET", "/things/annas-person", "GET", "/things/{thing}", "2xx"),
        ("GET", "/things/broken", "GET", "/things/{thing}", "5xx"),
        ("POST", "/things/annas-person", "POST", "/things/{thing}", "4xx"),
        ("GET", "/elsewhere/annas-person", "GET", "unmatched", "4xx"),
        ("SPYANNA", "/things/annas-person", "other", "/things/{thing}", "4xx"),
    ],
)
async def test_a_request_is_timed_under_its_template(
    method: str, path: str, label: str, route: str, status: str
) -> None:
    before = count(method=label, route=route, status=status)
    answered = await ask(method, path)
    assert f"{answered // 100}xx" == status
    assert count(method=label, route=route, status=status) == before + 1
    page = await Exposition("127.0.0.1", 0, []).page()
    assert b"annas-person" not in page
    assert b"Andersson" not in page


@pytest.mark.parametrize(
    ("key", "lane", "topic"),
    [
        ("express.person.core", "express", "person.core"),
        ("replay.status.person.core", "replay", "person.core"),
        ("command.accounts", "command", "command"),
        ("bulk.what.a.stranger.sent", "other", "other"),
        ("", "other", "other"),
    ],
)
def test_a_published_message_counts_under_its_lane_and_topic(key: str, lane: str, topic: str) -> None:
    def value() -> float:
        found = instruments.REGISTRY.get_sample_value(
            "stafett_messages_published_total", {"lane": lane, "topic": topic}
        )
        return found or 0.0

    before = value()
    instruments.published(key)
    assert value() == before + 1


async def test_the_page_holds_instruments_and_sources_and_prometheus_can_read_it() -> None:
    async def source() -> Iterable[Metric]:
        return [family("stafett_example", "An example.", ["target"], {("a",): 1.0, ('b"\\\n',): 2.0})]

    page = (await Exposition("127.0.0.1", 0, [source]).page()).decode()
    found: dict[str, Any] = {one.name: one for one in text_string_to_metric_families(page)}
    assert {sample.labels["target"]: sample.value for sample in found["stafett_example"].samples} == {
        "a": 1.0,
        'b"\\\n': 2.0,
    }
    assert found["process_cpu_seconds"].type == "counter"
    assert found["stafett_http_request_duration_seconds"].type == "histogram"
    names = [line.split()[2] for line in page.splitlines() if line.startswith("# TYPE ")]
    assert len(names) == len(set(names)), "a family that is said twice is refused by Prometheus"
