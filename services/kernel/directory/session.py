"""One thread's connection to the directory: blocking, opened when needed, thrown away at the first doubt."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.extend.standard.modifyPassword import ModifyPassword

from services.kernel.directory import answers, extended, filters
from services.kernel.directory.answers import Entry
from services.kernel.directory.encryption import StrictTls
from services.kernel.failures import Failure, Unavailable

PAGED = "1.2.840.113556.1.4.319"
"""OID of the simple paged results control (RFC 2696)."""

DELETED = ("1.2.840.113556.1.4.417", True, None)
"""Show deleted objects: Active Directory keeps them for months ([MS-ADTS] 3.1.1.3.4.1.14)."""
SUBTREE = ("1.2.840.113556.1.4.805", True, None)
"""Delete with everything below ([MS-ADTS] 3.1.1.3.4.1.15)."""
_NO_SUCH_OBJECT = 32
_SECRET = "unicodepwd"  # noqa: S105
_TEXTS: Mapping[str, Callable[[bytes], str]] = {"objectguid": lambda value: str(UUID(bytes_le=value))}
"""Attributes whose values are not text, and how they are written as text."""

Value = str | bytes
Result = TypeVar("Result")


class Scope(StrEnum):
    """How deep a search goes (RFC 4511, section 4.5.1.2)."""

    BASE = ldap3.BASE
    LEVEL = ldap3.LEVEL
    SUBTREE = ldap3.SUBTREE


class Operation(StrEnum):
    """How a modification treats its values (RFC 4511, section 4.6)."""

    ADD = ldap3.MODIFY_ADD
    DELETE = ldap3.MODIFY_DELETE
    REPLACE = ldap3.MODIFY_REPLACE


@dataclass(frozen=True)
class Modification:
    """One change of one attribute. REPLACE without values removes it, and is harmless when it is not there."""

    operation: Operation
    attribute: str
    values: tuple[Value, ...] = ()


@dataclass(frozen=True)
class DirectoryAccess:
    """Where the directory is and who we are there; timeouts in seconds.

    `fresh_seconds`: a connection idle for longer is replaced before a write goes over it, so that an idle timeout of
    the server never makes the outcome of a write unknown. `active_directory`: it answers as Active Directory does.
    """

    url: str
    bind_dn: str
    password: str
    ca_file: str | None = None
    start_tls: bool = False
    connect_timeout: int = 2
    receive_timeout: int = 5
    threads: int = 8
    page_size: int = 500
    fresh_seconds: float = 20.0
    active_directory: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether nobody can listen."""
        return self.start_tls or self.url.startswith("ldaps://")

    @property
    def private(self) -> bool:
        """Whether a password may go over the connection."""
        host = urlsplit(self.url).hostname or ""
        return self.encrypted or host in {"localhost", "::1"} or host[:4] == "127."

    @property
    def longest_call(self) -> float:
        """Seconds that one call can take at most: connect, bind, act."""
        return float(self.connect_timeout + 2 * self.receive_timeout)


class _Connection(ldap3.Connection):  # type: ignore[misc]
    """A connection of one thread, whose answers nobody else changes: ldap3 copies each of them, a third of a read."""

    def _prepare_return_value(self, status: Any, response: bool = False) -> Any:
        mine: Any = self
        request, answer = mine.request, mine.response if response else None
        mine.request = mine.response = None
        return status, mine.result, answer, request


class Session:
    """Not thread-safe: each worker thread has its own (a SYNC connection shared between threads corrupts)."""

    def __init__(self, access: DirectoryAccess) -> None:
        self._access = access
        self._connection: Any = None
        self._used_at = 0.0
        self._closed = False

    def search(
        self,
        base: str,
        condition: str,
        attributes: Sequence[str],
        scope: Scope,
        size_limit: int,
        cookie: bytes | None,
        *,
        deleted: bool = False,
    ) -> tuple[list[Entry], bytes | None]:
        """Search, one page when `cookie` is not None (empty: the first); no such base means no entries.

        An attribute that comes in ranges is read whole: ldap3 asks for the rest by itself.

        Returns:
            The entries, and the cookie of the next page (None: there is none).
        """
        paging: Mapping[str, object] = (
            {} if cookie is None else {"paged_size": self._access.page_size, "paged_cookie": cookie or None}
        )

        def call(connection: Any) -> tuple[list[Entry], bytes | None]:
            _, result, response, _ = connection.search(
                base,
                condition,
                search_scope=scope.value,
                attributes=list(attributes),
                size_limit=size_limit,
                controls=[DELETED] if deleted else None,
                **paging,
            )
            entries = self._entries(result, response, limited=size_limit > 0)
            control = (result.get("controls") or {}).get(PAGED)
            return entries, (control["value"]["cookie"] or None) if control else None

        return self._read(call)

    def among(self, dn: str, attribute: str, values: Sequence[str]) -> tuple[str, ...]:
        """Return which of the values an entry's attribute has, spelled as it has them; the others are not read."""

        def call(connection: Any) -> tuple[str, ...]:
            _, result, response, _ = connection.search(
                dn,
                filters.present("objectClass"),
                search_scope=Scope.BASE.value,
                attributes=[attribute],
                controls=[filters.matched(attribute, values)],
            )
            return tuple(one for found in self._entries(result, response) for one in found.values(attribute))

        return self._read(call)

    def part(self, dn: str, attribute: str, first: int, size: int) -> tuple[tuple[str, ...], int | None]:
        """Return an attribute's values from the `first` on ([MS-ADTS] 3.1.1.3.1.3.3), and where the rest begins.

        A server that knows no ranges, or has few enough, gives all at once.
        """
        asked = f"{attribute};range={first}-{first + size - 1}"

        def call(connection: Any) -> tuple[tuple[str, ...], int | None]:
            # by itself ldap3 says nothing of a rest that it could not get
            connection.auto_range = connection.empty_attributes = False
            try:
                _, result, response, _ = connection.search(
                    dn, filters.present("objectClass"), search_scope=Scope.BASE.value, attributes=[asked]
                )
            finally:
                connection.auto_range = connection.empty_attributes = True
            for entry in self._entries(result, response):
                for name, values in entry.attributes.items():
                    last = name.partition(";range=")[2].rpartition("-")[2]
                    if values and last:
                        return values, None if last == "*" else int(last) + 1
            return (), None

        return self._read(call)

    def add(self, dn: str, object_classes: Sequence[str], attributes: Mapping[str, tuple[Value, ...]]) -> None:
        """Add an entry; a password only over an encrypted connection."""
        self._refuse_clear(attributes)
        values = {name: [_octets(value) for value in given] for name, given in attributes.items() if given}
        self._write(lambda connection: connection.add(dn, list(object_classes), values))

    def modify(self, dn: str, modifications: Sequence[Modification]) -> None:
        """Change an entry; all modifications or none, in the order given per attribute; a password as in `add`."""
        self._refuse_clear(item.attribute for item in modifications)
        changes: dict[str, list[tuple[str, list[bytes]]]] = {}
        for item in modifications:
            encoded = [_octets(value) for value in item.values]
            changes.setdefault(item.attribute, []).append((item.operation.value, encoded))
        self._write(lambda connection: connection.modify(dn, changes))

    def rename(self, dn: str, rdn: str, superior: str | None, condition: str | None) -> None:
        """Give an entry another relative name and parent; the old name is no value of it any more."""
        controls = [filters.assertion(condition)] if condition else None
        self._write(lambda connection: connection.modify_dn(dn, rdn, new_superior=superior, controls=controls))

    def delete(self, dn: str, condition: str | None, *, subtree: bool = False) -> None:
        """Delete an entry; with `condition` only while it matches."""
        controls = [*([filters.assertion(condition)] if condition else []), *([SUBTREE] if subtree else [])]
        self._write(lambda connection: connection.delete(dn, controls=controls or None))

    def set_password(self, dn: str, password: str) -> None:
        """Set an entry's password (RFC 3062), over an encrypted connection or within this machine."""
        if not self._access.private:
            raise Unavailable("directory.not_encrypted")

        def call(connection: Any) -> tuple[Any, Mapping[str, Any], Any, Any]:
            operation = ModifyPassword(connection, dn, None, password, None)
            _, result, _, _ = connection.extended(operation.request_name, operation.request_value)
            return None, result, None, None

        self._write(call)

    def compare(self, dn: str, attribute: str, value: str) -> bool:
        """Tell whether the entry's attribute has the value."""

        def call(connection: Any) -> bool:
            _, result, _, _ = connection.compare(dn, attribute, value.encode())
            if result["result"] not in {answers.COMPARE_FALSE, answers.COMPARE_TRUE}:
                raise self._refusal(result)
            return bool(result["result"] == answers.COMPARE_TRUE)

        return self._read(call)

    def binds(self, dn: str, password: str) -> bool:
        """Tell whether `dn` can log in, on a connection of its own."""
        connection = self._connect(dn, password)
        try:
            _, result, _, _ = connection.bind()
        except (LDAPException, OSError) as error:
            raise answers.away(error) from error
        finally:
            _abandon(connection)
        if result["result"] not in {answers.SUCCESS, answers.INVALID_CREDENTIALS}:
            raise self._refusal(result)
        return bool(result["result"] == answers.SUCCESS)

    def close(self) -> None:
        """Abort for good: what is under way, and everything later, ends in `Unavailable`."""
        self._closed = True
        self.abort()

    def abort(self) -> None:
        """Cut the connection without a word to the server; from any thread, and never waits."""
        connection, self._connection = self._connection, None
        if connection is not None:
            _abandon(connection)

    def _read(self, call: Callable[[Any], Result]) -> Result:
        """Run a read; once more on a new connection when a kept one turned out to be dead."""
        kept = self._connection is not None
        try:
            return self._guarded(call)
        except Unavailable as failure:
            if not kept or failure.code == "directory.timeout":
                raise
        return self._guarded(call)

    def _write(self, call: Callable[[Any], tuple[Any, Mapping[str, Any], Any, Any]]) -> None:
        if time.monotonic() - self._used_at > self._access.fresh_seconds:
            self.abort()

        def checked(connection: Any) -> None:
            _, result, _, _ = call(connection)
            if result["result"] != answers.SUCCESS:
                raise self._refusal(result)

        self._guarded(checked)

    def _guarded(self, call: Callable[[Any], Result]) -> Result:
        self._refuse_closed()
        try:
            if self._connection is None:
                self._connection = self._bound()
                self._refuse_closed()  # while it was being opened: nobody else would ever cut it
            result = call(self._connection)
        except (LDAPException, OSError) as error:
            self.abort()
            raise answers.away(error) from error
        except Unavailable:
            self.abort()
            raise
        self._used_at = time.monotonic()
        return result

    def _entries(self, result: Mapping[str, Any], response: Any, *, limited: bool = False) -> list[Entry]:
        if result["result"] == _NO_SUCH_OBJECT:
            return []
        enough = limited and result["result"] == answers.SIZE_LIMIT_EXCEEDED
        if result["result"] != answers.SUCCESS and not enough:
            raise self._refusal(result)
        return [_entry(item) for item in response or () if item["type"] == "searchResEntry"]

    def _refuse_clear(self, attributes: Iterable[str]) -> None:
        if not self._access.encrypted and any(name.lower() == _SECRET for name in attributes):
            raise Unavailable("directory.not_encrypted")

    def _refusal(self, result: Mapping[str, Any]) -> Failure:
        code, name = int(result["result"]), str(result["description"])
        said = extended.meaning(code, name, str(result["message"])) if self._access.active_directory else None
        return said or answers.refusal(code, name)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise Unavailable("directory.closed")

    def _bound(self) -> Any:
        connection = self._connect(self._access.bind_dn, self._access.password)
        try:
            _, result, _, _ = connection.bind()
        except BaseException:
            _abandon(connection)
            raise
        if result["result"] != answers.SUCCESS:
            _abandon(connection)
            raise self._refusal(result)
        return connection

    def _connect(self, dn: str, password: str) -> Any:
        access = self._access
        secure = access.url.startswith("ldaps://") or access.start_tls
        server = ldap3.Server(
            access.url,
            get_info=ldap3.NONE,  # saves a search per connection, and all values come as they were sent
            connect_timeout=access.connect_timeout,
            tls=StrictTls(access.ca_file) if secure else None,
        )
        connection = _Connection(
            server,
            dn,
            password,
            client_strategy=ldap3.SAFE_SYNC,
            receive_timeout=access.receive_timeout,
            auto_referrals=False,
        )
        try:
            connection.open(read_server_info=False)
            if access.start_tls:
                connection.start_tls(read_server_info=False)
        except BaseException as error:
            _abandon(connection)
            if isinstance(error, LDAPException | OSError):
                raise answers.away(error) from error
            raise
        return connection


def _entry(item: Mapping[str, Any]) -> Entry:
    return Entry(
        dn=str(item["dn"]),
        attributes={
            name.lower(): tuple(_TEXTS.get(name.lower(), _text)(bytes(value)) for value in values)
            for name, values in item["raw_attributes"].items()
        },
    )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _octets(value: Value) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _abandon(connection: Any) -> None:
    """Close the socket itself: ldap3 leaks it when the server refuses, and unbind may wait for a server that hangs."""
    opened = connection.socket
    if opened is None:
        return
    with suppress(OSError):
        opened.shutdown(2)
    with suppress(OSError):
        opened.close()
    connection.closed = True
