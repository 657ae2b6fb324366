"""One trace from the HTTP request to the LDAP write, and a real Prometheus over real services."""

import re
import secrets
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support import hr, promql
from tests.support.collector import Collector, Seen, collecting
from tests.support.house import House, at, running_house, soon, wait_until
from tests.support.servers import skip_or_fail
from tests.support.story import TODAY

SERVICES = {"ingestion", "accounts", "orgtree", "status"}


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def house(collector: Collector) -> Iterator[House]:
    watched = shutil.which("prometheus") is not None
    with running_house(observed=watched, STAFETT_OTLP_ENDPOINT=collector.url, STAFETT_TRACE_RATIO="0") as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


def hired(number: str) -> dict[str, object]:
    person = hr.person(
        number, hr.employment(employeeNumber=number, start=soon(-100)), name={"given": "Åsa", "family": "Öberg"}
    )
    return hr.event(person, time="2026-03-01T08:00:00+01:00")


def post_traced(house: House, event: object, *, sampled: bool = True) -> tuple[str, str]:
    """Send one event as a caller who traces; return the trace and the caller's span."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    status, _ = house.request(
        "POST",
        "ingestion",
        "/v1/events",
        event,
        headers={"Content-Type": "application/cloudevents+json", "traceparent": f"00-{trace}-{span}-0{sampled:d}"},
    )
    assert status == 202
    return trace, span


def ancestry(spans: list[Seen], of: Seen) -> list[Seen]:
    by_id = {one.id: one for one in spans}
    found = [of]
    while found[-1].parent in by_id:
        found.append(by_id[found[-1].parent])
    return found


def test_one_trace_goes_from_the_request_to_the_directory_and_on_to_the_status(
    house: House, collector: Collector
) -> None:
    trace, caller = post_traced(house, hired("4711"))

    def reached() -> bool:
        spans = collector.spans(trace)
        last = [one for one in spans if one.name.startswith("process status.")]
        whole = [one for one in spans if one.name == "LDAP add" and ancestry(spans, one)[-1].parent == caller]
        return bool(whole) and any("work openldap" in [up.name for up in ancestry(spans, one)] for one in last)

    wait_until(reached, seconds=30, why=lambda: [(one.service, one.name) for one in collector.spans(trace)])
    spans = collector.spans(trace)
    added = next(one for one in spans if one.name == "LDAP add")
    way = ancestry(spans, added)
    queue = way[2].attributes.get("messaging.destination.name")
    assert queue in {"accounts.express", "accounts.bulk"}
    assert [(one.service, one.kind, one.name) for one in way] == [
        ("accounts", "CLIENT", "LDAP add"),
        ("accounts", "INTERNAL", "work openldap"),
        ("accounts", "CONSUMER", f"process {queue}"),
        ("ingestion", "PRODUCER", "publish stafett.events"),
        ("ingestion", "SERVER", "POST /v1/events"),
    ]
    assert way[-1].parent == caller
    assert [one.begun for one in way] == sorted((one.begun for one in way), reverse=True)
    assert all(one.begun <= one.ended for one in way)

    ldap, work, process, publish, request = (one.attributes for one in way)
    assert (ldap["db.system.name"], ldap["db.operation.name"]) == ("ldap", "add")
    assert ldap["server.port"] == house.installation.ports.slapd
    assert (work["stafett.target"], work["stafett.attempt"]) == ("openldap", 1)
    assert publish["messaging.destination.name"] == "stafett.events"
    assert publish["messaging.message.id"] == process["messaging.message.id"]
    assert {publish["messaging.system"], process["messaging.system"]} == {"rabbitmq"}
    assert request["http.route"] == "/v1/events"


def test_spans_tell_nothing_of_a_person(house: House, collector: Collector) -> None:
    trace, _ = post_traced(house, hired("4712"))
    wait_until(lambda: any(one.name == "LDAP add" for one in collector.spans(trace)), seconds=30)
    said = " ".join(f"{one.name} {one.attributes}" for one in collector.spans(trace)).lower()
    for personal in ("öberg", "oberg", "åsa", "4712", "ou=people"):
        assert personal not in said
    assert not any(one.events for one in collector.spans(trace))


def test_only_the_share_that_was_asked_for_is_kept(house: House, collector: Collector) -> None:
    """The ratio is nought here: what nobody upstream traces is carried out and leaves no span."""
    trace, _ = post_traced(house, hired("4713"), sampled=False)
    wait_until(lambda: "4713" in house.directory(), seconds=30)
    last, _ = post_traced(house, hired("4714"))
    wait_until(lambda: any(one.name == "LDAP add" for one in collector.spans(last)), seconds=30)
    assert collector.spans(trace) == []


def scrape(house: House, service: str) -> str:
    port = house.installation.ports.metrics[service]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text: str = answer.read().decode()
        return text


def exposed(page: str) -> set[str]:
    """The names under which the page's metrics can be asked for."""
    found: set[str] = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE):
        found |= {f"{name}{part}" for part in ("_bucket", "_count", "_sum")} if kind == "histogram" else {name}
    return found


def test_every_metric_of_rules_and_dashboards_exists(house: House) -> None:
    there = set[str]().union(*(exposed(scrape(house, service)) for service in SERVICES))
    there |= promql.rules("record").keys()
    found = list(promql.expressions())
    assert len(found) > 80
    for where, expression in found:
        assert promql.metrics(expression) <= there, where
    assert any("stafett_cases_late" in promql.metrics(expression) for _, expression in found)


def test_labels_are_templates_and_codes(house: House) -> None:
    person = house.request("GET", "ingestion", house.post([hired("4720")])[0]["location"])[1]["person"]
    assert house.request("GET", "status", f"/v1/persons/{person}")[0] in {200, 404}
    house.request("GET", "status", f"/no/such/{person}")
    page = scrape(house, "status")
    assert 'route="/v1/persons/{person_id}"' in page
    assert re.search(r'route="unmatched",status="4xx"} [1-9]', page)
    for service in SERVICES:
        labels = set(re.findall(r'(\w+)="', scrape(house, service)))
        assert labels <= {
            "method", "route", "status", "lane", "topic", "queue", "result", "target", "outcome", "operation", "le",
            "state", "why", "consumer", "part", "kind", "quantile", "generation", "data_class", "source",
            "organisation",
        }  # fmt: skip
        assert str(person) not in scrape(house, service)


def test_metrics_are_not_on_the_port_of_the_api(house: House) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"http://127.0.0.1:{house.installation.ports.http['status']}/metrics", timeout=10)


def test_prometheus_sees_every_service_and_has_the_rules(house: House) -> None:
    if not house.installation.observed:
        skip_or_fail("Prometheus is not installed (Debian package: prometheus)")
    prometheus = house.installation.prometheus
    everyone = (len(SERVICES), len(SERVICES))
    wait_until(lambda: prometheus.targets_up() == everyone, seconds=60, why=lambda: prometheus.ask("targets"))
    targets = prometheus.ask("targets", state="active")["activeTargets"]
    assert {one["labels"]["service"] for one in targets} == SERVICES
    groups = prometheus.ask("rules")["groups"]
    loaded = {rule["name"] for group in groups for rule in group["rules"]}
    assert loaded == promql.rules("alert").keys() | promql.rules("record").keys()

    def evaluated() -> bool:
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        return all(rule["health"] == "ok" for rule in rules)

    wait_until(evaluated, seconds=60, why=lambda: prometheus.ask("rules"))
    for where, expression in promql.expressions():
        assert prometheus.ask("query", query=expression)["resultType"] in {"vector", "scalar"}, where
    wait_until(
        lambda: len(prometheus.ask("query", query="service:stafett_http_requests:rate5m")["result"]) == len(SERVICES),
        seconds=60,
    )
