"""`CRASH_AT` kills a service with SIGKILL at a named point; after a restart the directory equals the model.

The oracle reads the directory, not our tables: every account once, none missing, none open that should be closed.
"""

import random
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support import hr
from tests.support.house import House, at, running_house, wait_until
from tests.support.story import TODAY, Story, tell

POINTS = [
    ("ingestion", "accept.before_commit"),
    ("ingestion", "accept.after_commit"),
    ("ingestion", "relay.before_publish"),
    ("ingestion", "relay.after_confirm"),
    ("ingestion", "relay.after_mark"),
    ("accounts", "intake.before_commit"),
    ("accounts", "intake.after_commit"),
    ("accounts", "intake.before_ack"),
    ("accounts", "intake.after_ack"),
    ("accounts", "work.before_claim"),
    ("accounts", "work.after_claim"),
    ("accounts", "ldap.before_write"),
    ("accounts", "ldap.after_write"),
    ("accounts", "ldap.before_write:7"),
    ("accounts", "ldap.after_write:7"),
    ("accounts", "work.before_complete"),
    ("accounts", "work.after_complete"),
    ("accounts", "relay.after_confirm"),
    ("status", "intake.before_commit"),
    ("status", "intake.after_commit"),
    ("status", "intake.before_ack"),
]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house() as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1"), hr.unit("u-2", name="Hemtjänst söder")])
        house.settled()
        yield house


@pytest.fixture(scope="module")
def model() -> dict[str, str]:
    """What all the stories told so far must have come to."""
    return {}


def begun(house: House, model: dict[str, str], prefix: str, *, people: int) -> Story:
    """Tell the beginning of a story, so that the accounts stand which its events will close."""
    story = tell(prefix, people=people)
    house.post(story.before)
    # they can log in before
    house.converges(lambda: {**model, **{event["data"]["externalId"]: "enabled" for event in story.before}})
    house.settled()
    model |= story.model
    return story


@pytest.mark.parametrize(("service", "point"), POINTS, ids=[f"{service}-{point}" for service, point in POINTS])
def test_killed_at(service: str, point: str, house: House, model: dict[str, str]) -> None:
    story = begun(house, model, f"{service}-{point.replace(':', '.')}", people=2)
    house.installation.services[service].stop()
    dying = house.installation.service(service, STAFETT_CRASH_AT=point)
    dying.launch()
    if service == "ingestion":
        wait_until(lambda: dying.readiness()[1].startswith("{"), seconds=30)
        _post_while_dying(house, story.events)
    else:
        house.post(story.events)
    wait_until(lambda: dying.pid is None, seconds=40, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service(service, STAFETT_CRASH_AT="").launch()
    if service == "ingestion":
        house.post(story.events)
    house.converges(lambda: model)
    house.settled()
    house.converges(lambda: model, seconds=5)
    house.status_agrees(f"{service}-{point.replace(':', '.')}")


def _post_while_dying(house: House, events: Sequence[dict[str, object]]) -> None:
    """The connection may break with or without the commit: HR cannot know, and sends the same again."""
    try:
        house.request(
            "POST",
            "ingestion",
            "/v1/events",
            list(events),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )
    except (OSError, ValueError):
        return


LEASED = "SELECT subject, lease_epoch FROM accounts.work WHERE lease_until IS NOT NULL"
ROWS = "SELECT subject, state, lease_epoch, lease_until - now(), wanted, done FROM accounts.work WHERE wanted > done"
TAKEN_OVER = (
    "SELECT count(*) FROM accounts.work w JOIN unnest(%s::text[], %s::bigint[]) AS l (subject, epoch) USING (subject)"
    " WHERE w.lease_epoch > l.epoch AND w.lease_until IS NULL AND w.wanted = w.done AND w.state = 'idle'"
)


def _is_stopped(pid: int | None) -> bool:
    """Tell whether the process is frozen (proc_pid_stat(5), field 3)."""
    return pid is not None and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _writes(house: House) -> Counter[str]:
    """Return how the writes of this process of accounts ended, as the directory has answered them."""
    url = f"http://127.0.0.1:{house.installation.ports.metrics['accounts']}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    ended = Counter[str]()
    for family in families:
        for sample in family.samples:
            counted = sample.name == "stafett_ldap_operation_duration_seconds_count"
            if counted and sample.labels["operation"] in {"add", "modify", "delete"}:
                ended[sample.labels["outcome"]] += int(sample.value)
    return ended


def test_a_worker_frozen_in_front_of_a_write_undoes_nothing_when_another_has_taken_over(
    house: House, model: dict[str, str]
) -> None:
    """All that is asked for are changes of what stands: an addition has no mark that a takeover could have swapped.

    The frozen process may stand in a transaction of the guard's, which the others wait for until the database ends it.
    """
    house.installation.services["accounts"].wait_ready(30)
    story = begun(house, model, "frozen", people=4)
    stands = {event["data"]["externalId"] for event in story.before}
    house.installation.services["accounts"].stop()
    frozen = house.installation.service("accounts", STAFETT_CRASH_AT="ldap.before_write:3/stop")
    frozen.launch()
    frozen.wait_ready(30)
    house.post([event for event in story.events if event["data"]["externalId"] in stands])
    wait_until(lambda: _is_stopped(frozen.pid), seconds=40, why=lambda: "the point was not passed")
    with house.admin() as conn:
        leased = conn.execute(LEASED).fetchall()
    assert leased, "it was in the middle of something"
    twin = house.installation.twin("accounts")
    twin.launch()
    try:
        with house.admin() as conn:
            of = ([row[0] for row in leased], [row[1] for row in leased])
            wait_until(
                lambda: conn.execute(TAKEN_OVER, of).fetchone() == (len(leased),),
                seconds=90,
                why=lambda: ("nobody took over", leased, conn.execute(ROWS).fetchall(), twin.readiness()),
            )
        frozen.resume()
        # the pass is over by the clock, and nobody waits for its call any more: only the counter of calls saw it end
        wait_until(lambda: _writes(house)["refused"] > 0, seconds=30, why=lambda: ("not refused", _writes(house)))
        house.post(story.events)
        house.converges(lambda: model)
        house.settled()
        house.converges(lambda: model, seconds=5)
    finally:
        frozen.resume()
        twin.stop()
        frozen.stop()
        house.installation.service("accounts", STAFETT_CRASH_AT="").launch()
    house.settled()


def test_duplicated_and_reordered_history_ends_in_the_same_state(house: House, model: dict[str, str]) -> None:
    story = begun(house, model, "shuffled", people=3)
    # what opens a person must come before what changes it, as the door demands; the rest in any order, and twice
    first = [*story.before, *(event for event in story.events if str(event["id"]).endswith("-1"))]
    then = [event for event in story.events if str(event["id"]).endswith("-2")]
    order = random.Random(7)  # noqa: S311 - a shuffle that can be repeated
    for events in (first, then):
        doubled = [*events, *events]
        order.shuffle(doubled)
        house.post(doubled)
    house.converges(lambda: model)
    house.settled()
    before = house.writes()
    house.post(story.events)
    house.settled()
    assert house.writes() == before, "events that say nothing new write nothing"


def test_the_broker_is_killed_and_its_data_deleted_in_the_middle(house: House, model: dict[str, str]) -> None:
    story = begun(house, model, "wiped", people=6)
    half = len(story.events) // 2
    house.post(story.events[:half])
    house.installation.rabbitmq.kill9()
    house.installation.rabbitmq.wipe_data()
    house.post(story.events[half:])
    house.installation.rabbitmq.start()
    house.converges(lambda: model, seconds=120)
    house.settled()
    house.status_agrees("wiped")


@pytest.mark.parametrize("server", ["postgres", "rabbitmq", "slapd"])
def test_a_server_is_killed_in_the_middle(server: str, house: House, model: dict[str, str]) -> None:
    story = begun(house, model, f"killed-{server}", people=5)
    half = len(story.events) // 2
    house.post(story.events[:half])
    one = getattr(house.installation, server)
    one.kill9()
    if server == "postgres":
        one.start()
    house.post(story.events[half:])
    if server != "postgres":
        one.start()
    house.converges(lambda: model, seconds=120)
    house.settled()


@pytest.mark.parametrize("server", ["postgres", "rabbitmq", "slapd"])
def test_services_started_while_a_server_is_away_wait_and_resume(
    server: str, house: House, model: dict[str, str]
) -> None:
    story = begun(house, model, f"late-{server}", people=1)
    accounts = house.installation.services["accounts"]
    accounts.stop()
    one = getattr(house.installation, server)
    one.stop()
    accounts.launch()
    wait_until(lambda: accounts.readiness()[1].startswith("{"), seconds=30)
    ready, said = accounts.readiness()
    assert house.request("GET", "accounts", "/livez")[0] == 200, "away is not dead"
    if server != "slapd":
        assert not ready
        assert server[:4] in said or "intake" in said or "database" in said
    one.start()
    house.post(story.events)
    house.converges(lambda: model, seconds=90)
    house.settled()
