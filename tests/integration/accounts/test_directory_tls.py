"""LDAPS and StartTLS against a real slapd that takes no password in the clear."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.local.certificates import tls_files
from deploy.local.servers import SlapdServer
from services.kernel.directory import Directory, DirectoryAccess, equals
from services.kernel.failures import Failure, Unavailable
from tests.support.servers import PASSWORD, SUFFIXES, private_slapd, running, short_folder


@pytest.fixture(scope="module", params=["ldaps", "start_tls"])
def secured(request: pytest.FixtureRequest) -> Iterator[SlapdServer]:
    with short_folder() as folder:
        plain = private_slapd(folder / "slapd")
        tls = tls_files(folder / "tls")
        server = type(plain)(replace(plain.config, tls=tls, ldaps=request.param == "ldaps"))
        with running(server):
            yield server


@asynccontextmanager
async def asked(server: SlapdServer, **changes: Any) -> AsyncIterator[Directory]:
    assert server.config.tls is not None
    access = DirectoryAccess(
        url=server.url,
        bind_dn=server.service_dn,
        password=PASSWORD,
        ca_file=str(server.config.tls.ca),
        start_tls=not server.config.ldaps,
    )
    directory = Directory(replace(access, **changes))
    try:
        yield directory
    finally:
        await directory.close()


async def test_reads_writes_and_binds_are_encrypted(secured: SlapdServer) -> None:
    base = f"ou=people,{SUFFIXES[0]}"
    dn = f"uid=anna,{base}"
    async with asked(secured) as directory:
        await directory.probe(SUFFIXES[0])
        attributes = {"cn": ("Anna",), "sn": ("Andersson",), "uid": ("anna",), "userPassword": ("hemligt",)}
        await directory.add(dn, ["inetOrgPerson"], attributes, subject="anna")
        assert [entry.dn for entry in await directory.search(base, equals("uid", "anna"), ["cn"])] == [dn]
        assert await directory.binds(dn, "hemligt")
        assert not await directory.binds(dn, "annat")
        await directory.delete(dn, subject="anna")


async def test_a_certificate_of_a_strange_authority_is_refused(secured: SlapdServer, tmp_path: Path) -> None:
    strange = tls_files(tmp_path / "strange")
    async with asked(secured, ca_file=str(strange.ca)) as directory:
        with pytest.raises(Unavailable):
            await directory.probe(SUFFIXES[0])


async def test_a_certificate_of_another_host_is_refused(secured: SlapdServer) -> None:
    # the address is the right server's, the name is not one that its certificate speaks for
    url = secured.url.replace("127.0.0.1", "127.0.0.2")
    async with asked(secured, url=url) as directory:
        with pytest.raises(Unavailable):
            await directory.probe(SUFFIXES[0])


async def test_no_password_is_taken_in_the_clear(secured: SlapdServer) -> None:
    clear = secured.url.replace("ldaps://", "ldap://")
    async with asked(secured, url=clear, start_tls=False) as directory:
        with pytest.raises(Failure):
            await directory.probe(SUFFIXES[0])
