"""What Microsoft Graph answers, and what its refusals mean to the work executor.

Graph's `error.code` is coarse: most refusals of a user are `Request_BadRequest`, told apart by `error.details` and by
the message. The message may quote a person's data: it is looked at here and goes no further.
"""

import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Any

import httpx2

from services.kernel.directory.answers import ConnectionFailed, EntryExists, NoSuchEntry, ValueExists, ValueGone
from services.kernel.failures import Failure, Permanent, Throttled, Transient, Unavailable

DEFAULT_RETRY_AFTER = 10.0
"""Seconds to wait when Graph throttles and does not say for how long."""
LONGEST_WAIT = 3600.0
"""Seconds after which it is asked anew, whatever it said."""


class CallFailed(Transient):
    """Graph stumbled over this one call (500): worth another try at once, for a read."""


@dataclass(frozen=True)
class Answer:
    """An answer of Graph. Names of headers are lower case."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> list[Mapping[str, Any]]:
        """The objects of a collection.

        Raises:
            Transient: There is no collection: that is not an empty one.
        """
        found = self.body.get("value")
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            raise malformed()
        return found

    @property
    def following(self) -> str | None:
        """Where the next page is."""
        link = self.body.get("@odata.nextLink")
        if link is not None and not (isinstance(link, str) and link.isascii() and link.isprintable()):
            raise malformed()
        return link

    @property
    def done(self) -> bool:
        """Whether it was done; a redirection, of a proxy perhaps, is none."""
        return 200 <= self.status < 300

    @property
    def load(self) -> float:
        """How much of a limit is used up; Graph says so from 0.8 on (`x-ms-throttle-limit-percentage`), else 0."""
        try:
            return float(self.headers.get("x-ms-throttle-limit-percentage", "0"))
        except ValueError:
            return 0.0


def malformed() -> Transient:
    """Return the failure for an answer that is not what it must be. Whether a write has landed is then UNKNOWN."""
    return Transient("graph.answer_malformed")


def plain(value: object) -> bool:
    """Tell whether something is a text that can be kept, and sent again: no lone surrogate, no NUL."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "ignore").decode() == value


def identified(body: Mapping[str, Any]) -> str:
    """Return the id of an object.

    Raises:
        Transient: It has none.
    """
    found = body.get("id")
    if not isinstance(found, str) or not found or not plain(found):
        raise malformed()
    return found


_FRAGMENTS: tuple[tuple[str, str], ...] = (
    ("password", "graph.password_refused"),
    ("verified domain", "graph.domain_not_verified"),
    ("domain portion", "graph.domain_not_verified"),
    ("on-premises mastered", "graph.synced"),
    ("does not have any available licenses", "graph.licence_none_left"),
    ("usage location", "graph.usage_location_missing"),
    ("depends on the service plan", "graph.licence_dependency"),
    ("inherited from a group", "graph.licence_inherited"),
)
_SAME_VALUE = re.compile(r"same value for property (\w+)")
_THERE_ALREADY = "object references already exist"
_MAILBOX = frozenset({"MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI"})
"""No licence has made a mailbox yet, or it stands on the organisation's own server."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,60}")


def refusal(answer: Answer) -> Failure:
    """Return the failure that an answer stands for when nothing was done."""
    error = answer.body.get("error")
    error = error if isinstance(error, Mapping) else {}
    code = str(error.get("code") or "")
    result = code if _CODE.fullmatch(code) else str(answer.status)
    wait = retry_after(answer)
    if answer.status == 429 or (answer.status == 503 and wait is not None):
        return Throttled("directory.throttled", retry_after=DEFAULT_RETRY_AFTER if wait is None else wait)
    if answer.status < 400:
        return ConnectionFailed("directory.unavailable", result=str(answer.status))
    if answer.status >= 500:
        kind = CallFailed if answer.status in {500, 501} else ConnectionFailed
        return kind("directory.unavailable", result=str(answer.status))
    match answer.status:
        case 401:
            return Unavailable("graph.token_refused", result=result)
        case 403 if code == "Directory_QuotaExceeded":
            return Permanent("graph.quota_exceeded")
        case 403:
            return Permanent("graph.app_role_missing", result=result)
        case 404 if code in _MAILBOX:
            return Permanent("graph.mailbox_missing")
        case 404:
            return NoSuchEntry("directory.no_such_entry")
        case 412:
            return ValueGone("directory.value_gone")
        case 424:
            return Transient("graph.not_begun")
    return _bad_request(answer.status, error, result)


def _bad_request(status: int, error: Mapping[str, Any], result: str) -> Failure:
    message = str(error.get("message") or "")
    said_of = error.get("details")
    details = [detail for detail in said_of if isinstance(detail, Mapping)] if isinstance(said_of, list) else []
    conflict = next((str(d.get("target") or "") for d in details if d.get("code") == "ObjectConflict"), None)
    same = _SAME_VALUE.search(message)
    if _THERE_ALREADY in message:
        return ValueExists("directory.value_exists")
    if conflict is not None or same:
        return EntryExists("directory.entry_exists", property=conflict or (same[1] if same else ""))
    if result in {"Directory_ConcurrencyViolation", "Directory_ExpiredPageToken"} or status == 409:
        return Transient("directory.busy", result=result)
    if result == "Directory_QuotaExceeded":
        return Permanent("graph.quota_exceeded")
    said = " ".join([message, *(str(detail.get("message") or "") for detail in details)]).casefold()
    for fragment, problem in _FRAGMENTS:
        if fragment in said:
            return Permanent(problem)
    return Permanent("directory.refused", result=result)


def retry_after(answer: Answer) -> float | None:
    """Return for how many seconds Graph wants to be left alone (RFC 9110, section 10.2.3), or None."""
    said = answer.headers.get("retry-after")
    if said is None:
        return None
    try:
        seconds = float(said)
    except ValueError:
        pass
    else:
        return min(max(0.0, seconds), LONGEST_WAIT) if isfinite(seconds) else DEFAULT_RETRY_AFTER
    try:
        # their clock, not ours: a date is counted from the one that they sent with it
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, TypeError, OverflowError):
        return DEFAULT_RETRY_AFTER
    return min(max(0.0, wait.total_seconds()), LONGEST_WAIT)


def away(error: BaseException) -> Failure:
    """Return the failure for a call without an answer. Whether a write has landed is then UNKNOWN."""
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Unavailable("graph.certificate_untrusted")
    if any(isinstance(cause, (TimeoutError, httpx2.TimeoutException)) for cause in causes):
        return Unavailable("directory.timeout")
    return ConnectionFailed("directory.unavailable", result=type(error).__name__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_AADSTS: Mapping[int, str] = {
    7000215: "graph.secret_invalid",
    7000222: "graph.secret_expired",
    700027: "graph.certificate_unknown",
    700024: "graph.clock_wrong",
    700016: "graph.app_unknown",
    90002: "graph.tenant_unknown",
}


def credentials_refused(answer: Mapping[str, Any]) -> Unavailable:
    """Return why the authority gave no token: the whole target's trouble, and IT's to mend."""
    told = answer.get("error_codes")
    codes = [int(code) for code in told if str(code).isdecimal()] if isinstance(told, list) else []
    said = re.match(r"AADSTS(\d+)", str(answer.get("error_description") or ""))
    if said:
        codes.append(int(said[1]))
    known = next((code for code in codes if code in _AADSTS), None)
    if known is not None:
        return Unavailable(_AADSTS[known], result=f"AADSTS{known}")
    result = f"AADSTS{codes[0]}" if codes else str(answer.get("error") or "")
    return Unavailable("graph.credentials_refused", result=result if _CODE.fullmatch(result) else "")
