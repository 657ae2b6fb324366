"""What Graph's answers mean, and how writes are spaced; no server."""

import ssl

import httpx2
import pytest

from services.kernel.directory.answers import ConnectionFailed, EntryExists, NoSuchEntry, ValueExists
from services.kernel.directory.graph import Request, literal
from services.kernel.directory.graph_answers import (
    Answer,
    CallFailed,
    away,
    credentials_refused,
    identified,
    plain,
    refusal,
)
from services.kernel.directory.graph_pacing import WritePacer, slowed
from services.kernel.failures import Failure, Permanent, Throttled, Transient, Unavailable


def error(
    status: int, code: str, message: str = "", details: tuple[dict[str, str], ...] = (), **headers: str
) -> Failure:
    said = {"code": code, "message": message, "details": list(details)}
    return refusal(Answer(status, {"error": said}, {name.replace("_", "-"): value for name, value in headers.items()}))


BAD = "Request_BadRequest"


REFUSED = {
    "Another object with the same value for property mail already exists.": (EntryExists, "directory.entry_exists"),
    "One or more added object references already exist for": (ValueExists, "directory.value_exists"),
    "The specified password does not comply with": (Permanent, "graph.password_refused"),
    "The domain portion of the userPrincipalName property": (Permanent, "graph.domain_not_verified"),
    "Unable to update for on-premises mastered Directory Sync": (Permanent, "graph.synced"),
    "does not have any available licenses.": (Permanent, "graph.licence_none_left"),
    "for user with invalid usage location.": (Permanent, "graph.usage_location_missing"),
    "something that nobody has seen before": (Permanent, "directory.refused"),
}
ANSWERED = {
    (302, "Found"): (ConnectionFailed, "directory.unavailable"),
    (400, "Directory_ConcurrencyViolation"): (Transient, "directory.busy"),
    (401, "InvalidAuthenticationToken"): (Unavailable, "graph.token_refused"),
    (403, "Authorization_RequestDenied"): (Permanent, "graph.app_role_missing"),
    (404, "Request_ResourceNotFound"): (NoSuchEntry, "directory.no_such_entry"),
    (404, "MailboxNotEnabledForRESTAPI"): (Permanent, "graph.mailbox_missing"),
    (409, "Conflict"): (Transient, "directory.busy"),
    (424, "FailedDependency"): (Transient, "graph.not_begun"),
    (429, "TooManyRequests"): (Throttled, "directory.throttled"),
    (500, "InternalServerError"): (CallFailed, "directory.unavailable"),
    (502, "BadGateway"): (ConnectionFailed, "directory.unavailable"),
    (503, "ServiceUnavailable"): (ConnectionFailed, "directory.unavailable"),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_bad_request_is_told_apart_by_what_graph_says_of_it(message: str) -> None:
    failure = error(400, BAD, message)
    assert (type(failure), failure.code) == REFUSED[message]


@pytest.mark.parametrize(("status", "code"), ANSWERED)
def test_a_refusal_has_the_class_that_decides_what_happens_next(status: int, code: str) -> None:
    failure = error(status, code)
    assert (type(failure), failure.code) == ANSWERED[status, code]


def test_a_conflict_names_its_property_and_503_with_a_time_is_no_outage() -> None:
    conflict = error(400, BAD, "x", ({"code": "ObjectConflict", "target": "userPrincipalName"},))
    assert isinstance(conflict, EntryExists)
    assert dict(conflict.parameters) == {"property": "userPrincipalName"}
    assert isinstance(error(503, "ServiceUnavailable", retry_after="7"), Throttled)


def test_what_graph_says_of_a_person_goes_no_further() -> None:
    failure = error(400, BAD, "The value 'anna.andersson@alvsund.se' of mail is invalid.")
    assert "anna" not in repr((failure.code, failure.parameters, str(failure)))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "Sun, 22 Nov 2026 18:00:30 GMT", "date": "Sun, 22 Nov 2026 18:00:00 GMT"}, 30.0),
        ({"retry-after": "soon"}, 10.0),
        ({"retry-after": "inf"}, 10.0),
        ({"retry-after": "nan"}, 10.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "999999"}, 3600.0),
        ({}, 10.0),
    ],
)
def test_throttled_waits_exactly_as_long_as_graph_says(headers: dict[str, str], seconds: float) -> None:
    failure = refusal(Answer(429, {}, headers))
    assert isinstance(failure, Throttled)
    assert failure.retry_after == seconds


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": {}}, {"value": ["x"]}])
def test_what_is_no_collection_is_not_an_empty_one(body: dict[str, object]) -> None:
    with pytest.raises(Transient) as odd:
        _ = Answer(200, body).values
    assert odd.value.code == "graph.answer_malformed"
    with pytest.raises(Transient):
        _ = identified(body)
    assert Answer(200, {"value": []}).values == []


@pytest.mark.parametrize(("value", "good"), [("å", True), ("", True), ("\ud800", False), ("a\0", False), (7, False)])
def test_a_text_is_plain_when_it_can_be_kept_and_sent(value: object, good: bool) -> None:
    assert plain(value) is good


def test_credentials_that_are_refused_say_which_to_mend() -> None:
    expired = {"error": "invalid_client", "error_codes": [7000222], "error_description": "AADSTS7000222: The ..."}
    assert (failure := credentials_refused(expired)).code == "graph.secret_expired"
    assert dict(failure.parameters) == {"result": "AADSTS7000222"}
    said_only = {"error": "invalid_client", "error_description": "AADSTS700027: Client assertion ..."}
    assert credentials_refused(said_only).code == "graph.certificate_unknown"
    assert credentials_refused({"error": "invalid_request"}).code == "graph.credentials_refused"


def test_an_untrusted_certificate_is_told_apart_from_a_network_that_is_away() -> None:
    broken = httpx2.ConnectError("x")
    broken.__cause__ = ssl.SSLCertVerificationError("x")
    assert away(broken).code == "graph.certificate_untrusted"
    assert isinstance(away(httpx2.ConnectError("x")), ConnectionFailed)
    assert away(httpx2.ReadTimeout("x")).code == "directory.timeout"
    assert away(TimeoutError()).code == "directory.timeout"


def test_what_a_request_is_about_is_in_its_address_and_not_in_its_name() -> None:
    named = {"$filter": "mail eq " + literal("o'neil@x.se")}
    request = Request("GET", "/users/{id}", {"id": "a/b@x.se"}, query=named, eventual=True)
    assert request.operation == "GET /users/{id}"
    assert request.url == "/users/a%2Fb%40x.se?$filter=mail%20eq%20%27o%27%27neil%40x.se%27&$count=true"
    assert "x.se" not in repr(request)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def written(pacer: WritePacer, clock: Clock, seconds: float, load: float = 0.0) -> list[float]:
    """Write as fast as the pacer lets us, and return when."""
    ends, times = clock.now + seconds, list[float]()
    while True:
        wait = pacer.reserve(1)
        assert wait is not None
        clock.now += wait
        if clock.now >= ends:
            return times
        times.append(clock.now)
        pacer.told(load)


def test_no_window_holds_more_writes_than_the_budget_and_nine_tenths_are_used() -> None:
    clock = Clock()
    times = written(WritePacer(3_000, 150.0, clock), clock, 600.0)
    fullest = max(sum(1 for other in times if start <= other < start + 150.0) for start in times[::50])
    assert 2_850 <= fullest <= 3_000
    assert len(times) >= 0.9 * 3_000 * 4


def test_writes_slow_down_as_the_limit_comes_near_and_nearly_stop_beyond_it() -> None:
    assert [slowed(load) for load in (0.0, 0.8, 1.0)] == [1.0, 1.0, 0.9]
    assert slowed(0.9) == pytest.approx(0.95)
    assert slowed(1.8) == pytest.approx(0.1)
    clock = Clock()
    beyond = written(WritePacer(3_000, 150.0, clock), clock, 150.0, load=1.8)
    assert len(beyond) < 0.15 * 3_000


def test_a_write_that_would_come_too_late_takes_nobodys_place() -> None:
    clock = Clock()
    pacer = WritePacer(100, 100.0, clock)
    assert pacer.reserve(50, latest=clock.now + 1) is None
    assert pacer.reserve(1) == 0.0
