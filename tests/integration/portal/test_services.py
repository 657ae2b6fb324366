"""The services and the provider over real connections: whatever they answer, the caller gets one of a few answers."""

import asyncio
import contextlib
import gzip
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from services.kernel import telemetry
from services.kernel.security import Authenticator
from services.portal.adapters.provider import OpenIdProvider
from services.portal.adapters.services import HttpServices
from services.portal.domain.answers import Refused, Unreachable
from services.portal.ports import Bearer, ProviderUnavailable, SignInRefused

ANNA = Bearer("token")
JSON = b"Content-Type: application/json\r\n"


@asynccontextmanager
async def server(answer: Callable[[str], bytes], *, asked: list[str] | None = None) -> AsyncIterator[str]:
    """Answer each request with raw bytes, by its first line; nothing at all keeps the connection open."""

    open_now: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                if asked is not None:
                    asked.append(head)
                writer.write(answer(head.partition("\r\n")[0]))
                await writer.drain()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now[asyncio.create_task(serve(reader, writer))] = writer

    running = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}"
    finally:
        running.close()
        for writer in open_now.values():
            writer.close()
        await asyncio.gather(*open_now, *(writer.wait_closed() for writer in open_now.values()), return_exceptions=True)


def said(status: int, body: bytes, headers: bytes = JSON) -> bytes:
    return b"HTTP/1.1 %d X\r\n%bContent-Length: %d\r\n\r\n%b" % (status, headers, len(body), body)


MALFORMED = {
    "errors-null": said(422, b'{"code": "x", "errors": null}'),
    "errors-object": said(422, b'{"code": "x", "errors": {}}'),
    "errors-strings": said(422, b'{"code": "x", "errors": ["a"], "detail": {}, "matches": "3"}'),
    "list": said(422, b"[]"),
    "text": said(500, b"<html>", b""),
    "latin-1": said(200, b'{"name": "\xe5"}'),
    "deep": said(200, b"[" * 100_000 + b"]" * 100_000),
    "gzip": said(200, b"not gzip at all", JSON + b"Content-Encoding: gzip\r\n"),
    "elsewhere": said(302, b"{}", JSON + b"Location: http://127.0.0.1:1/\r\n"),
    "no-http": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_no_answer_of_a_service_is_a_failure_of_ours(name: str) -> None:
    async with server(lambda _line: MALFORMED[name]) as url:
        services = HttpServices({"status": url}, deadline=5)
        with pytest.raises((Refused, Unreachable)):
            await services.call(ANNA, "GET", "status", "/v1/x")
        await services.close()


async def test_streams_do_not_use_up_the_connections_of_calls() -> None:
    def answer(line: str) -> bytes:
        if "/v1/stream" in line:
            return b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: ready\n\n"
        return said(200, b"{}")

    async with server(answer) as url:
        services = HttpServices({"status": url}, deadline=5)
        streams = [services.stream(ANNA, "status", "/v1/stream") for _ in range(80)]
        assert {await anext(one) for one in streams} == {b"event: ready\n\n"}
        assert await services.call(ANNA, "GET", "status", "/v1/x") == {}
        for one in streams:
            await one.aclose()  # type: ignore[attr-defined]
        await services.close()


async def test_who_is_nobody_in_particular_has_an_address_and_no_token_and_outcomes_are_read() -> None:
    asked: list[str] = []
    problem = b'{"code": "activation.away", "targets": [{"target": "ad", "outcome": "away"}, 7]}'
    async with server(lambda _line: said(503, problem), asked=asked) as url:
        services = HttpServices({"accounts": url}, deadline=60)
        with pytest.raises(Refused) as refused:
            await services.call(Bearer(None, client="192.0.2.7"), "POST", "accounts", "/v1/activations", body={})
        await services.close()
    assert refused.value.outcomes == {"ad": "away"}
    assert "x-forwarded-for: 192.0.2.7" in asked[-1].lower()
    assert "authorization" not in asked[-1].lower()


async def test_a_call_may_have_a_deadline_of_its_own_and_carries_the_trace() -> None:
    asked: list[str] = []
    packed = said(200, gzip.compress(b"{}"), JSON + b"Content-Encoding: gzip\r\n")
    async with server(lambda line: b"" if "silent" in line else packed, asked=asked) as url:
        services = HttpServices({"accounts": url}, deadline=60)
        with pytest.raises(Unreachable):
            await services.call(ANNA, "POST", "accounts", "/silent", body={}, deadline=0.2)
        with telemetry.span("a request") as traceparent:
            assert await services.call(Bearer("token", "ärende 17"), "GET", "accounts", "/v1/x") == {}
        await services.close()
    assert f"traceparent: 00-{traceparent[3:35]}-" in asked[-1].lower()
    assert "stafett-reason: %c3%a4rende%2017" in asked[-1].lower()


def provider(url: str, jwks: Path) -> OpenIdProvider:
    return OpenIdProvider(
        url,
        client_id="stafett",
        client_secret="s",
        scope="openid",
        redirect_uri="http://portal/callback",
        signed_out_uri="http://portal/",
        audience="stafett",
        authenticator=Authenticator(str(jwks), url, "stafett"),
    )


@pytest.mark.parametrize(
    ("jwks", "token"),
    [
        ({"keys": "none"}, {"access_token": "a", "id_token": "x.y.z"}),
        ({"keys": [{"kty": "EC"}]}, {"access_token": "a", "id_token": "x.y.z"}),
        ({}, {"access_token": "a", "id_token": "x.y.z"}),
        ([1], {"access_token": "a", "id_token": "x.y.z"}),
        ({"keys": []}, {"access_token": ["a"], "id_token": {}, "expires_in": "soon"}),
        ({"keys": []}, ["access_token"]),
    ],
)
async def test_a_provider_that_makes_no_sense_refuses_or_is_away(jwks: object, token: object, tmp_path: Path) -> None:
    bases = [""]

    def answer(line: str) -> bytes:
        if "well-known" in line:
            found: object = {"issuer": bases[-1], "jwks_uri": f"{bases[-1]}/jwks", "token_endpoint": f"{bases[-1]}/t"}
        else:
            found = jwks if "/jwks" in line else token
        return said(200, orjson.dumps(found))

    async with server(answer) as base:
        bases.append(base)
        one = provider(base, tmp_path / "none.json")
        with pytest.raises((SignInRefused, ProviderUnavailable)):
            await one.redeem("code", nonce="n", verifier="v")
        with pytest.raises((SignInRefused, ProviderUnavailable)):
            await one.refresh("r", id_token="i", name="Anna")
        await one.close()
