"""The directory for asyncio: blocking calls run in worker threads, each with a connection of its own."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from urllib.parse import urlsplit

from opentelemetry.trace import SpanKind
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_any,
    wait_random_exponential,
)
from tenacity.stop import stop_base
from typing_extensions import override

from services.kernel import telemetry
from services.kernel.directory.answers import ConnectionFailed, Entry
from services.kernel.directory.filters import present
from services.kernel.directory.session import DirectoryAccess, Modification, Scope, Session, Value
from services.kernel.failures import Failure, LeaseShort, Unavailable
from services.kernel.metrics.instruments import LDAP_OPERATION

log = telemetry.get_logger(__name__)

Result = TypeVar("Result")

READ_ATTEMPTS = 3
RETRY_CAP = 1.0
"""Longest wait between two tries of a read, in seconds."""


RANGE = 1500
"""How many values of an attribute are asked for at once: what a domain controller gives at most (MaxValRange)."""


def no_crash(_point: str) -> None:
    """Pass a crash point: nothing happens."""


class TooLate(stop_base):
    """Stop trying when `latest` (event loop time) has passed."""

    def __init__(self, latest: float | None) -> None:
        self._latest = latest

    @override
    def __call__(self, retry_state: RetryCallState) -> bool:
        return self._latest is not None and asyncio.get_running_loop().time() > self._latest


class Directory:
    """An LDAP directory. A call that ends in `Unavailable` may still have been carried out: observe again.

    Every call takes `deadline` (event loop time): one that could outlive it is not begun.
    """

    def __init__(self, access: DirectoryAccess, *, crash: Callable[[str], None] = no_crash) -> None:
        self._access = access
        self._crash = crash
        self._sessions: list[Session] = []
        self._guard = threading.Lock()
        self._local = threading.local()
        self._threads = ThreadPoolExecutor(access.threads, thread_name_prefix="directory")
        self._closed = False
        server = urlsplit(access.url)
        self._about = {"db.system.name": "ldap", "server.address": server.hostname or access.url} | (
            {"server.port": server.port} if server.port else {}
        )

    @property
    def active_directory(self) -> bool:
        """Whether it answers as Active Directory does."""
        return self._access.active_directory

    @property
    def encrypted(self) -> bool:
        """Whether nobody can listen on the way."""
        return self._access.encrypted

    @property
    def longest_call(self) -> float:
        """Seconds that one call can take at most."""
        return self._access.longest_call

    async def search(
        self,
        base: str,
        condition: str,
        attributes: Sequence[str],
        *,
        scope: Scope = Scope.SUBTREE,
        size_limit: int = 0,
        deleted: bool = False,
        deadline: float | None = None,
    ) -> list[Entry]:
        """Return the matching entries; none when `base` does not exist. At most `size_limit` of them when not 0.

        `deleted`: in Active Directory also those that were deleted, as far as we may see them.

        A connection that fails is tried anew, three times in all; writes never are.

        Raises:
            Unavailable: The directory is away or does not answer in time.
            Failure: It refuses.
        """
        entries, _ = await self._retried(
            "search",
            lambda session: session.search(base, condition, attributes, scope, size_limit, None, deleted=deleted),
            deadline,
        )
        return entries

    async def search_all(self, base: str, condition: str, attributes: Sequence[str]) -> AsyncIterator[list[Entry]]:
        """Yield all matching entries below `base`, a page at a time (RFC 2696).

        Raises:
            Unavailable: The directory went away; begin again, cookies belong to their connection.
        """
        # A cookie is only good on the connection that gave it: the whole search stays on one.
        session = Session(self._access)
        cookie: bytes | None = b""
        try:
            while cookie is not None:
                entries, cookie = await asyncio.to_thread(
                    session.search, base, condition, attributes, Scope.SUBTREE, 0, cookie
                )
                yield entries
        finally:
            session.abort()

    async def among(
        self, dn: str, attribute: str, values: Sequence[str], *, deadline: float | None = None
    ) -> tuple[str, ...]:
        """Return which of the values an entry's attribute has (RFC 3876); none when there is no such entry.

        They are spelled as the entry has them. However many it has, only these are compared and sent; Active Directory
        knows no such control.

        Raises:
            Unavailable: The directory is away.
            Failure: It refuses.
        """
        return await self._retried("search", lambda session: session.among(dn, attribute, values), deadline)

    async def values(self, dn: str, attribute: str) -> AsyncIterator[tuple[str, ...]]:
        """Yield all values of an entry's attribute, some at a time, however many there are.

        Active Directory gives them in ranges; another directory gives all at once, as it has no other way.

        Raises:
            Unavailable: The directory went away; begin again.
        """
        if not self.active_directory:
            for entry in await self.search(dn, present("objectClass"), [attribute], scope=Scope.BASE):
                yield entry.values(attribute)
            return
        first: int | None = 0
        while first is not None:
            found, first = await self._retried("search", _range(dn, attribute, first), None)
            yield found

    async def add(
        self,
        dn: str,
        object_classes: Sequence[str],
        attributes: Mapping[str, tuple[Value, ...]],
        *,
        subject: str,
        deadline: float | None = None,
    ) -> None:
        """Add an entry; `subject` is whom the log names.

        Raises:
            EntryExists: Read what is there.
            Failure: It refuses, or is away: then whether it was added is unknown.
        """
        await self._write("add", subject, lambda session: session.add(dn, object_classes, attributes), deadline)

    async def modify(
        self, dn: str, modifications: Sequence[Modification], *, subject: str, deadline: float | None = None
    ) -> None:
        """Change an entry, all or nothing.

        Raises:
            ValueGone: A value to delete is not there: compare-and-set lost.
            NoSuchEntry: It is gone.
            Failure: It refuses, or is away: then whether it was changed is unknown.
        """
        await self._write("modify", subject, lambda session: session.modify(dn, modifications), deadline)

    async def rename(
        self,
        dn: str,
        rdn: str,
        *,
        subject: str,
        superior: str | None = None,
        condition: str | None = None,
        deadline: float | None = None,
    ) -> None:
        """Give an entry another relative name (RFC 4511, section 4.9), with all that is below it.

        `superior`: below another parent. `condition`: only while the entry matches this filter, where the directory has
        the assertion control; Active Directory does not.

        Raises:
            EntryExists: Another entry has the name.
            NoSuchEntry: It is gone, or has the new name already; or there is no such parent.
            ValueGone: The condition does not hold.
            Failure: It refuses, or is away: then whether it was renamed is unknown.
        """
        await self._write("rename", subject, lambda session: session.rename(dn, rdn, superior, condition), deadline)

    async def delete(
        self,
        dn: str,
        *,
        subject: str,
        condition: str | None = None,
        subtree: bool = False,
        deadline: float | None = None,
    ) -> None:
        """Delete an entry, with `condition` (a filter) only while it matches: atomic, by the assertion control.

        `subtree`: in Active Directory with everything below it.

        Raises:
            ValueGone: The condition does not hold.
            NoSuchEntry: It is gone already.
            Failure: It refuses, or is away: then whether it was deleted is unknown.
        """
        await self._write("delete", subject, lambda session: session.delete(dn, condition, subtree=subtree), deadline)

    async def set_password(self, dn: str, password: str, *, subject: str, deadline: float | None = None) -> None:
        """Set an entry's password by the Password Modify operation (RFC 3062): the server hashes and judges it.

        Raises:
            NoSuchEntry: It is gone.
            Failure: It refuses (constraintViolation: by its password policy), or is away: then whether it was set is
                unknown.
        """
        await self._write("password", subject, lambda session: session.set_password(dn, password), deadline)

    async def compare(self, dn: str, attribute: str, value: str, *, deadline: float | None = None) -> bool:
        """Tell whether the entry's attribute has the value.

        Raises:
            NoSuchEntry: There is no such entry.
            Failure: It refuses or is away.
        """
        return await self._run("compare", lambda session: session.compare(dn, attribute, value), deadline)

    async def binds(self, dn: str, password: str) -> bool:
        """Tell whether `dn` can log in with `password`: a real bind on a connection of its own.

        Raises:
            Unavailable: The directory is away.
        """
        return await self._run("bind", lambda session: session.binds(dn, password), None)

    async def probe(self, base: str = "") -> None:
        """Return when the directory answers: a new bind and a read of `base`.

        Raises:
            Unavailable: It is away, refuses us, or does not have `base`.
        """

        def call(_kept: Session) -> int:
            session = Session(self._access)
            try:
                found, _ = session.search(base, present("objectClass"), ["1.1"], Scope.BASE, 1, None)
            finally:
                session.abort()
            return len(found)

        if not await self._run("probe", call, None):
            raise Unavailable("directory.base_missing")

    async def close(self) -> None:
        """Cut all connections. Takes no time, however the directory feels; calls under way end in `Unavailable`."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        with self._guard:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    async def _write(
        self, operation: str, subject: str, call: Callable[[Session], None], deadline: float | None
    ) -> None:
        def crashing(session: Session) -> None:
            self._crash("ldap.before_write")
            call(session)
            self._crash("ldap.after_write")

        try:
            await self._run(operation, crashing, deadline)
        except Failure as failure:
            log.info("directory.refused", operation=operation, subject=subject, problem=failure.code)
            raise
        log.info("directory.written", operation=operation, subject=subject)

    async def _run(self, operation: str, call: Callable[[Session], Result], deadline: float | None) -> Result:
        about = {**self._about, "db.operation.name": operation}
        with telemetry.span(f"LDAP {operation}", kind=SpanKind.CLIENT, attributes=about):
            return await self._in_thread(operation, call, deadline)

    async def _in_thread(self, operation: str, call: Callable[[Session], Result], deadline: float | None) -> Result:
        loop = asyncio.get_running_loop()
        if deadline is not None and deadline - loop.time() < self._access.longest_call:
            raise LeaseShort("directory.lease_short")
        if self._closed:
            raise Unavailable("directory.closed")

        def begin() -> Result:
            # It may have waited for a thread: one that could outlive its lease by now is not begun either.
            if deadline is not None and deadline - loop.time() < self._access.longest_call:
                raise LeaseShort("directory.lease_short")
            found = _timed(operation, call, self._session())
            if self._closed:
                raise Unavailable("directory.closed")
            return found

        return await loop.run_in_executor(self._threads, begin)

    async def _retried(self, operation: str, call: Callable[[Session], Result], deadline: float | None) -> Result:
        """Run a read, again when its connection failed: at most three times, as long as the lease allows."""
        latest = None if deadline is None else deadline - self._access.longest_call - RETRY_CAP
        retrying = AsyncRetrying(
            stop=stop_any(stop_after_attempt(READ_ATTEMPTS), TooLate(latest)),
            wait=wait_random_exponential(multiplier=0.2, max=RETRY_CAP),
            retry=retry_if_exception_type(ConnectionFailed),
            reraise=True,
        )
        return await retrying(self._run, operation, call, deadline)

    def _session(self) -> Session:
        session: Session | None = getattr(self._local, "session", None)
        if session is None:
            session = Session(self._access)
            self._local.session = session
            with self._guard:
                self._sessions.append(session)
        return session


def _range(dn: str, attribute: str, first: int) -> Callable[[Session], tuple[tuple[str, ...], int | None]]:
    return lambda session: session.part(dn, attribute, first, RANGE)


def _timed(operation: str, call: Callable[[Session], Result], session: Session) -> Result:
    """Make a call and count how it ended; what a directory answers with a refusal it has answered."""
    began, outcome = time.perf_counter(), "done"
    try:
        return call(session)
    except Unavailable:
        outcome = "unavailable"
        raise
    except Failure:
        outcome = "refused"
        raise
    finally:
        LDAP_OPERATION.labels(operation, outcome).observe(time.perf_counter() - began)
