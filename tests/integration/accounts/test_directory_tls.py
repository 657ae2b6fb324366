"""LDAPS and StartTLS against a real slapd that takes no password in the clear."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy.local.certificates import tls_files
from deploy.local.servers import SlapdServer
from services.kernel.directory import Directory, DirectoryAccess, equals
from services.kernel.failures import Failure, Unavailable
from tests.support.kernel import eventually
from tests.support.servers import PASSWORD, SUFFIXES, private_slapd, running, short_folder


@contextmanager
def secured_slapd(ldaps: bool, *names: str, ready: bool = True) -> Iterator[SlapdServer]:
    """Run a slapd with a certificate for these names; one that cannot be trusted never looks ready."""
    with short_folder() as folder:
        plain = private_slapd(folder / "slapd")
        server = type(plain)(replace(plain.config, tls=tls_files(folder / "tls", *names), ldaps=ldaps))
        if ready:
            with running(server):
                yield server
            return
        server.launch()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="module", params=["ldaps", "start_tls"])
def secured(request: pytest.FixtureRequest) -> Iterator[SlapdServer]:
    with secured_slapd(request.param == "ldaps") as server:
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
        attributes = {"cn": ("Anna",), "sn": ("Andersson",), "uid": ("anna",), "userPassword": ("hemligt-hemligt",)}
        await directory.add(dn, ["inetOrgPerson"], attributes, subject="anna")
        assert [entry.dn for entry in await directory.search(base, equals("uid", "anna"), ["cn"])] == [dn]
        assert await directory.binds(dn, "hemligt-hemligt")
        assert not await directory.binds(dn, "annat")
        await directory.delete(dn, subject="anna")


async def test_a_certificate_of_a_strange_authority_is_refused(secured: SlapdServer, tmp_path: Path) -> None:
    strange = tls_files(tmp_path)
    async with asked(secured, ca_file=str(strange.ca)) as directory:
        with pytest.raises(Unavailable) as refused:
            await directory.probe(SUFFIXES[0])
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.__cause__)


@pytest.mark.parametrize("ldaps", [True, False])
async def test_a_certificate_for_another_host_is_refused(ldaps: bool) -> None:
    with secured_slapd(ldaps, "directory.elsewhere.example", ready=False) as server:
        async with asked(server) as directory:

            async def mismatch() -> bool:
                with pytest.raises(Unavailable) as refused:
                    await directory.probe(SUFFIXES[0])
                return "IP address mismatch" in str(refused.value.__cause__)

            # until it runs it refuses for other reasons; never may it let us in
            await eventually(mismatch)


async def test_no_password_is_taken_in_the_clear() -> None:
    with secured_slapd(False) as server:
        async with asked(server, start_tls=False) as directory:
            with pytest.raises(Failure) as refused:
                await directory.probe(SUFFIXES[0])
    assert refused.value.parameters["result"] == "confidentialityRequired"
