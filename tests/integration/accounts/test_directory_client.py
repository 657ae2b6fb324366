"""The LDAP client against a server that is slow, frozen, killed, or simply busy with many threads."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.kernel.directory import Directory, EntryExists, Modification, NoSuchEntry, Operation, ValueGone, equals
from services.kernel.directory.answers import ConnectionFailed, refusal
from services.kernel.directory.session import Session
from services.kernel.failures import Transient, Unavailable
from tests.integration.accounts.harness import access, clear
from tests.support.servers import SlapdUnderTest

PERSON = ("inetOrgPerson", "stafettManaged")


@pytest.fixture
async def directory(slapd: SlapdUnderTest) -> AsyncIterator[Directory]:
    client = Directory(access(slapd, connect_timeout=1, receive_timeout=1))
    await clear(client, slapd.suffixes[0])
    yield client
    await client.close()


def dn(slapd: SlapdUnderTest, uid: str) -> str:
    return f"uid={uid},ou=people,{slapd.suffixes[0]}"


def values(uid: str) -> dict[str, tuple[str, ...]]:
    return {"uid": (uid,), "cn": (uid,), "sn": (uid,), "stafettMark": ("1.1",)}


async def test_answers_are_not_mixed_up_between_threads(slapd: SlapdUnderTest, directory: Directory) -> None:
    names = [f"u{number}" for number in range(60)]
    await asyncio.gather(*(directory.add(dn(slapd, n), PERSON, values(n), subject=n) for n in names))
    found = await asyncio.gather(*(directory.search(slapd.suffixes[0], equals("uid", n), ["cn"]) for n in names * 3))
    assert [entries[0].first("cn") for entries in found] == names * 3


async def test_the_loop_goes_on_while_the_directory_hangs_and_the_call_ends_in_unavailable(
    slapd: SlapdUnderTest, directory: Directory
) -> None:
    await directory.probe()
    slapd.pause()
    try:
        began = time.monotonic()
        ticks = 0
        call = asyncio.create_task(directory.search(slapd.suffixes[0], equals("uid", "x"), ["uid"]))
        while not call.done():
            await asyncio.sleep(0.02)
            ticks += 1
        with pytest.raises(Unavailable):
            await call
        assert ticks > 10
        assert time.monotonic() - began < directory.longest_call + 2
    finally:
        slapd.resume()
    assert await directory.search(slapd.suffixes[0], equals("uid", "x"), ["uid"]) == []


async def test_closing_takes_no_time_while_the_directory_hangs(slapd: SlapdUnderTest) -> None:
    client = Directory(access(slapd, receive_timeout=5))
    await client.probe()
    await client.search(slapd.suffixes[0], equals("uid", "x"), ["uid"])
    slapd.pause()
    try:
        call = asyncio.create_task(client.search(slapd.suffixes[0], equals("uid", "x"), ["uid"]))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await client.close()
        assert time.monotonic() - began < 0.5
        slapd.resume()
        with pytest.raises(Unavailable):
            await call
    finally:
        slapd.resume()


async def test_a_server_that_was_killed_is_found_again(slapd: SlapdUnderTest, directory: Directory) -> None:
    await directory.add(dn(slapd, "a"), PERSON, values("a"), subject="a")
    slapd.kill9()
    try:
        with pytest.raises(Unavailable):
            await directory.search(slapd.suffixes[0], equals("uid", "a"), ["uid"])
        with pytest.raises(Unavailable):
            await directory.probe()
    finally:
        slapd.start()
    await directory.probe(slapd.suffixes[0])
    assert len(await directory.search(slapd.suffixes[0], equals("uid", "a"), ["uid"])) == 1


async def test_refusals_are_told_apart(slapd: SlapdUnderTest, directory: Directory) -> None:
    await directory.add(dn(slapd, "a"), PERSON, values("a"), subject="a")
    with pytest.raises(EntryExists):
        await directory.add(dn(slapd, "a"), PERSON, values("a"), subject="a")
    swap = [Modification(Operation.DELETE, "stafettMark", ("0.9",)), Modification(Operation.ADD, "stafettMark", ("2",))]
    with pytest.raises(ValueGone):
        await directory.modify(dn(slapd, "a"), swap, subject="a")
    with pytest.raises(NoSuchEntry):
        await directory.modify(dn(slapd, "b"), swap, subject="b")
    with pytest.raises(ValueGone):
        await directory.delete(dn(slapd, "a"), subject="a", condition=equals("stafettMark", "0.9"))
    assert await directory.compare(dn(slapd, "a"), "stafettMark", "1.1")
    assert not await directory.compare(dn(slapd, "a"), "stafettMark", "1.2")
    await directory.delete(dn(slapd, "a"), subject="a", condition=equals("stafettMark", "1.1"))
    assert await directory.search(slapd.suffixes[0], equals("uid", "a"), ["uid"]) == []


async def test_a_call_that_could_outlive_the_lease_is_not_begun(slapd: SlapdUnderTest, directory: Directory) -> None:
    deadline = asyncio.get_running_loop().time() + 1.0
    with pytest.raises(Transient, match="lease_short"):
        await directory.add(dn(slapd, "a"), PERSON, values("a"), subject="a", deadline=deadline)
    assert await directory.search(slapd.suffixes[0], equals("uid", "a"), ["uid"]) == []


async def test_wrong_credentials_concern_the_target_and_not_the_person(slapd: SlapdUnderTest) -> None:
    client = Directory(replace(access(slapd), password="wrong"))
    with pytest.raises(Unavailable):
        await client.search(slapd.suffixes[0], equals("uid", "a"), ["uid"])
    await client.close()


async def test_pages_reach_every_entry(slapd: SlapdUnderTest) -> None:
    client = Directory(access(slapd, page_size=7))
    names = [f"p{number}" for number in range(30)]
    await clear(client, slapd.suffixes[0])
    await asyncio.gather(*(client.add(dn(slapd, n), PERSON, values(n), subject=n) for n in names))
    pages = [page async for page in client.search_all(slapd.suffixes[0], "(objectClass=inetOrgPerson)", ["uid"])]
    assert max(len(page) for page in pages) == 7
    assert {entry.first("uid") for page in pages for entry in page} == set(names)
    await client.close()


async def test_a_connection_that_idled_too_long_is_replaced_before_a_write(slapd: SlapdUnderTest) -> None:
    client = Directory(access(slapd, threads=1, fresh_seconds=0.0))
    await clear(client, slapd.suffixes[0])
    await client.probe()
    slapd.restart()
    await client.add(dn(slapd, "a"), PERSON, values("a"), subject="a")
    await client.close()


async def test_a_missing_ca_file_concerns_the_target_and_not_the_person(slapd: SlapdUnderTest) -> None:
    client = Directory(access(slapd, ca_file="/nowhere/ca.pem", start_tls=True))
    with pytest.raises(Unavailable):
        await client.search(slapd.suffixes[0], equals("uid", "x"), ["uid"])
    await client.close()


@pytest.mark.parametrize("code", [10, 53])
def test_a_server_that_refers_us_elsewhere_or_is_unwilling_is_away(code: int) -> None:
    assert isinstance(refusal(code, "x"), Unavailable)


async def test_a_read_is_tried_again_when_its_connection_failed_and_a_write_never(
    slapd: SlapdUnderTest, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def failing(*_: object, **__: object) -> None:
        tries.append("x")
        raise ConnectionFailed("directory.unavailable")

    monkeypatch.setattr(Session, "search", failing)
    monkeypatch.setattr(Session, "modify", failing)
    with pytest.raises(Unavailable):
        await directory.search(slapd.suffixes[0], equals("uid", "x"), ["uid"])
    assert len(tries) == 3
    with pytest.raises(Unavailable):
        await directory.modify(dn(slapd, "x"), [], subject="x")
    assert len(tries) == 4


async def test_a_call_that_waited_too_long_for_a_thread_is_not_begun(slapd: SlapdUnderTest) -> None:
    client = Directory(access(slapd, connect_timeout=1, receive_timeout=1, threads=1))
    await client.probe()
    loop = asyncio.get_running_loop()
    client._threads.submit(time.sleep, 1.0)
    with pytest.raises(Transient, match="lease_short"):
        await client.add(
            dn(slapd, "w"), PERSON, values("w"), subject="w", deadline=loop.time() + client.longest_call + 0.5
        )
    assert await client.search(slapd.suffixes[0], equals("uid", "w"), ["uid"]) == []
    await client.close()
