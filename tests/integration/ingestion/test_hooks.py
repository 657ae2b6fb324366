"""Signed webhooks and what is agreed with a source, through the service's own app."""

import base64
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import orjson
import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook

from services.ingestion.api.hooks import Hooks, HooksRefused
from services.ingestion.bootstrap import build
from services.kernel.settings import OrganisationsRefused, load_organisations
from tests.integration.ingestion.conftest import Site
from tests.support import hr
from tests.support.kernel import organisations_with_no_agreement

OLD, NEW = b"an old secret of the HR system!", b"a new secret of the HR system!!"
OTHER = "https://hr.alvsund.example/elected"


def agreed(folder: Path, text: str, sources: str = f'["{hr.SOURCE}", "{OTHER}"]') -> Path:
    bare = organisations_with_no_agreement()
    table = bare.replace(f'["{hr.SOURCE}"]', sources).replace("[bergby]", f"{text}\n[bergby]")
    path = folder / "organisations.toml"
    path.write_text(table, "utf-8")
    return path


def line(hook: str, secret: bytes) -> str:
    return f"{hook} whsec_{base64.b64encode(secret).decode()}\n"


@pytest.fixture
async def hooked(site: Site, tmp_path: Path) -> AsyncIterator[Site]:
    """The service with two hooks, one of them with two secrets, and an agreement with one source."""
    table = agreed(
        tmp_path,
        f'[alvsund.source."{hr.SOURCE}"]\nhook = "personal"\nevents_per_minute = 5\nbody_bytes = 4000\n'
        f'[alvsund.source."{OTHER}"]\nhook = "elected"\n',
    )
    secrets = line("personal", OLD) + "\n" + line("personal", NEW) + line("elected", b"x" * 24)
    fields = {"organisations": table, "hook_secrets": SecretStr(secrets)}
    service = build(site.service.settings.model_copy(update=fields))  # type: ignore[arg-type]
    await service.database.open()
    transport = httpx2.ASGITransport(app=service.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        yield replace(site, service=service, client=client)
    await service.database.close()


def signed(body: bytes, secret: bytes, *, age: timedelta = timedelta()) -> dict[str, str]:
    at = datetime.fromtimestamp(time.time(), UTC) - age
    name = f"msg_{uuid4().hex}"
    return {
        "webhook-id": name,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": "v1,bm90aGluZw== " + Webhook(secret).sign(name, at, body.decode()),
        "Content-Type": "application/cloudevents+json",
    }


async def push(site: Site, event: Any, headers: Mapping[str, str] | bytes, hook: str = "personal") -> httpx2.Response:
    body = orjson.dumps(event)
    sent = signed(body, headers) if isinstance(headers, bytes) else headers
    if isinstance(event, list):
        sent = {**sent, "Content-Type": "application/cloudevents-batch+json"}
    return await site.client.post(f"/v1/hooks/{hook}", content=body, headers=sent)


def someone(**attributes: Any) -> hr.Event:
    return hr.hire(f"p-{uuid4().hex[:10]}", **attributes)


@pytest.mark.parametrize("secret", [OLD, NEW])
async def test_a_signed_event_is_taken_with_either_secret_and_once(hooked: Site, secret: bytes) -> None:
    event = someone()
    answer = await push(hooked, event, secret)
    assert answer.status_code == 202, answer.text
    assert (await push(hooked, event, secret)).json()["duplicate"] is True
    person = answer.json()["person"]
    assert hooked.rows("SELECT actor FROM fact WHERE person = %s", person) == [("hook:personal",)]


async def test_a_batch_with_a_refused_event_is_no_success_to_who_looks_at_the_status_alone(hooked: Site) -> None:
    good, bad = someone(), someone()
    del bad["data"]["externalId"]
    answer = await push(hooked, [good, bad], OLD)
    assert (answer.status_code, answer.json()["code"]) == (422, "batch.refused_items")
    assert answer.json()["counts"] == {"accepted": 1, "rejected": 1}
    taken, refused = answer.json()["results"]
    assert (taken["status"], refused["problem"]["code"]) == ("accepted", "event.invalid")
    assert len(hooked.rows("SELECT 1 FROM fact WHERE person = %s", taken["person"])) == 1
    again = await push(hooked, [good], OLD)
    assert (again.status_code, again.json()["counts"]) == (200, {"duplicate": 1})


async def test_what_is_not_signed_now_by_this_hook_is_refused_alike(hooked: Site) -> None:
    event = someone()
    body = orjson.dumps(event)
    good = signed(body, OLD)
    wrong: list[tuple[str, Mapping[str, str]]] = [
        ("personal", {"Content-Type": good["Content-Type"], **hooked.bearer()}),
        ("personal", {name: value for name, value in good.items() if name != "webhook-id"}),
        ("personal", {**good, "webhook-id": "msg_other"}),
        ("personal", {**good, "webhook-timestamp": "soon"}),
        ("personal", {**good, "webhook-timestamp": "nan"}),
        ("personal", {**good, "webhook-signature": "v1"}),
        ("personal", {**good, "webhook-signature": "v1,%%%"}),
        ("personal", {**good, "webhook-signature": good["webhook-signature"].replace("v1,", "v2,")}),
        ("personal", signed(body, OLD, age=timedelta(minutes=6))),
        ("personal", signed(body, OLD, age=-timedelta(minutes=6))),
        ("personal", signed(body, b"x" * 24)),
        ("personal", signed(body + b" ", OLD)),
        ("elected", good),
        ("nobody", good),
    ]
    for hook, headers in wrong:
        answer = await push(hooked, event, headers, hook)
        assert (answer.status_code, answer.json()["code"]) == (401, "signature.invalid"), headers
        assert "webhook" in answer.headers["www-authenticate"].lower()
    bad = await hooked.client.post("/v1/hooks/personal", content=b"\xff\xfe", headers=good)
    assert bad.status_code == 401
    assert hooked.rows("SELECT count(*) FROM fact WHERE event_id = %s", event["id"]) == [(0,)]


async def test_a_hook_speaks_for_its_own_source_only(hooked: Site) -> None:
    answer = await push(hooked, someone(source=OTHER), OLD)
    assert (answer.status_code, answer.json()["code"]) == (403, "source.forbidden")
    assert (await push(hooked, someone(source=OTHER), b"x" * 24, "elected")).status_code == 202


async def test_a_source_that_sends_too_much_is_told_when_to_come_back_and_others_are_not(hooked: Site) -> None:
    first = await hooked.post([someone() for _ in range(4)])
    assert first.status_code == 200
    again = await hooked.post([someone(), someone(source=OTHER), someone()])
    assert (again.status_code, again.json()["code"]) == (429, "rate.exceeded")
    assert 1 <= int(again.headers["retry-after"]) <= 60
    assert (await hooked.post([someone(source=OTHER)] * 3)).status_code == 200
    assert (await hooked.post([someone()])).status_code == 200, "what was refused was not counted"
    assert (await push(hooked, someone(), OLD)).status_code == 429, "all its doors count together"


async def test_what_is_told_of_another_source_does_not_use_up_its_minute(hooked: Site) -> None:
    for _ in range(3):
        refused = await push(hooked, [someone(), someone()], b"x" * 24, "elected")
        assert [one["status"] for one in refused.json()["results"]] == ["rejected"] * 2
    assert (await hooked.post([someone() for _ in range(5)])).status_code == 200


async def test_what_cannot_be_signed_or_is_too_large_is_refused_before_it_is_read(hooked: Site) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * 3000
        raise AssertionError("it was read on")

    bare = await hooked.client.post(
        "/v1/hooks/personal", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert bare.status_code == 401
    headers = signed(b"", OLD)
    large = await hooked.client.post("/v1/hooks/personal", content=endless(), headers=headers)
    assert (large.status_code, large.json()["code"]) == (413, "body.too_large")


async def test_more_than_is_agreed_in_one_request_is_to_be_split(hooked: Site) -> None:
    many = await hooked.post([{"source": hr.SOURCE}] * 6)
    assert (many.status_code, many.json()["code"]) == (413, "batch.too_large")
    large = await hooked.post(someone(name=("Å" * 100, "B"), subject="s" * 4000))
    assert (large.status_code, large.json()["code"]) == (413, "body.too_large")
    strange = await hooked.post([{"source": []}, {"source": None}, 7, *[{"source": {}}] * 6])
    assert strange.status_code == 200, "what names no source is answered item by item"


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ("", "personal has none"),
        ("personal whsec_" + "A" * 8, "line 1: the secret has fewer than 24 bytes"),
        ("personal !!", "line 1: the secret is not base64"),
        ("\n" + line("other", OLD), "line 2: no source has this hook"),
    ],
)
def test_secrets_that_cannot_be_used_are_refused_at_the_start(tmp_path: Path, secrets: str, reason: str) -> None:
    table = load_organisations(agreed(tmp_path, f'[alvsund.source."{hr.SOURCE}"]\nhook = "personal"\n'))
    with pytest.raises(HooksRefused, match=reason):
        Hooks(secrets, table)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[alvsund.source."https://elsewhere"]\nhook = "x1"\n', "not one of its sources"),
        (
            f'[alvsund.source."{hr.SOURCE}"]\nhook = "x1"\n[alvsund.source."{OTHER}"]\nhook = "x1"\n',
            "hook x1 is of both",
        ),
        (f'[alvsund.source."{hr.SOURCE}"]\nhook = "X!"\n', "hook"),
        (f'[alvsund.source."{hr.SOURCE}"]\nevents_per_minute = 0\n', "events_per_minute"),
        ("[alvsund.retention]\nfacts = 100\n", r"organisations.toml: \[alvsund\](.|\n)*retention.facts(.|\n)*366"),
        (f'[alvsund.source."{hr.SOURCE}"]\nmapping = "invented"\nfolder = "a"\n', "a folder needs"),
        (f'[alvsund.source."{hr.SOURCE}"]\nmapping = "invented"\nkind = "full"\nfolder = "../a"\n', "folder"),
        (
            "".join(
                f'[alvsund.source."{one}"]\nmapping = "invented"\nkind = "full"\nfolder = "a/b"\n'
                for one in (hr.SOURCE, OTHER)
            ),
            "folder a/b is of both",
        ),
    ],
)
def test_an_agreement_that_cannot_hold_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(OrganisationsRefused, match=reason):
        load_organisations(agreed(tmp_path, text))
