"""How units stand in targets, asked and acted on over HTTP; the directory is real."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from contracts.registry import AUDIT_RECORDED
from deploy.local.targets import present
from services.kernel.runner import Service
from services.orgtree.bootstrap import build
from services.orgtree.domain.projection import Kind
from services.orgtree.settings import Settings
from tests.integration.orgtree.estate import NESTED, TARGET, Estate, estate, job
from tests.support.asking import FakeAuthenticator, ask
from tests.support.kernel import ROOT, service_settings
from tests.support.servers import SlapdUnderTest

READS = "alvsund targets:read"
WRITES = f"{READS} targets:write"
API = "/v1/organisation/targets"


@pytest.fixture
async def here(fresh_database: str, slapd: SlapdUnderTest) -> AsyncIterator[Estate]:
    async with estate(fresh_database, slapd) as found:
        yield found


@pytest.fixture
async def service(here: Estate, fresh_database: str, slapd: SlapdUnderTest, tmp_path: Path) -> AsyncIterator[Service]:
    del here
    (tmp_path / "secret").write_text(slapd.service_password)
    lines = [f"[{TARGET}]", 'kind = "openldap"', f'url = "{slapd.url}"', f'bind_dn = "{slapd.service_dn}"']
    lines += ['secret_file = "secret"', f"[{TARGET}.units]", 'placement = "by_unit"', 'groups = ["unit", "managers"]']
    (tmp_path / "targets.toml").write_text("\n".join(lines))
    table = present((ROOT / "deploy/local/organisations.toml").read_text(), {"openldap"})
    (tmp_path / "organisations.toml").write_text(table.replace("targets.openldap", f"targets.{TARGET}"))
    given = service_settings("orgtree", fresh_database, 5672, organisations=tmp_path / "organisations.toml")
    built = build(Settings.model_validate({**given.model_dump(), "targets": tmp_path / "targets.toml"}))
    built.app.state.authenticator = FakeAuthenticator()
    await built.database.open()
    yield built
    await built.database.close()


async def got(service: Service, path: str = "", principal: str = READS) -> Any:
    status, body = await ask(service, "GET", f"{API}{path}", principal)
    assert status == 200, body
    return body


async def strangers(here: Estate, *units: str) -> None:
    """Have others make groups with the names of ours, and HR tell of the units."""
    for unit in units:
        await here.subject.put(here.subject.named(Kind.UNIT, NESTED.name(unit, Kind.UNIT)), Kind.UNIT)
        await here.here.tell_unit(unit, f"Enhet {unit}")
    await here.here.converged()


async def test_what_stands_and_what_hinders_is_told_to_who_may_read_targets(here: Estate, service: Service) -> None:
    await strangers(here, "1")
    await here.here.tell_unit("2", "Enhet 2")
    await here.hire(job("2"))
    await here.here.converged()
    (one,) = (await got(service))["items"]
    shown = ("target", "kind", "mode", "placement", "objects", "units", "members", "problems", "candidates")
    assert [one[name] for name in shown] == [
        TARGET, "openldap", "write", "by_unit", ["entry", "unit", "managers"], 2, 1, 1, 1,
    ]  # fmt: skip
    (hindered,) = (await got(service, f"/{TARGET}/problems"))["items"]
    assert (hindered["unit"], hindered["problem"]["code"], hindered["state"]) == ("1", "unit.unmanaged", "parked")
    (candidate,) = (await got(service, f"/{TARGET}/candidates"))["items"]
    assert (candidate["unit"], candidate["kind"], candidate["approvedAt"]) == ("1", "unit", None)
    for principal in ("alvsund organisation:read", "alvsund persons:read"):
        assert (await ask(service, "GET", API, principal))[0] == 403
    assert (await got(service, principal="bergby targets:read"))["items"][0]["units"] == 0
    assert (await ask(service, "GET", f"{API}/nowhere/problems", READS))[0] == 404


async def test_taking_over_asks_for_the_number_a_reason_and_the_right(here: Estate, service: Service) -> None:
    await strangers(here, "1", "2")
    path = f"{API}/{TARGET}/candidates/adopt"
    every = {"units": ["*"], "reason": "de är våra"}
    assert (await ask(service, "POST", path, READS, every))[0] == 403
    status, told = await ask(service, "POST", path, WRITES, every)
    assert (status, told["code"], told["matches"]) == (409, "target.count", 2)
    assert (await ask(service, "POST", path, WRITES, {**every, "matches": 1}))[0] == 409
    wrongs: list[dict[str, Any]] = [{}, {"units": []}, {"units": ["*"]}, {**every, "reason": " "}, {**every, "sure": 1}]
    for wrong in wrongs:
        assert (await ask(service, "POST", path, WRITES, wrong))[0] == 422, wrong
    assert {one["approvedAt"] for one in (await got(service, f"/{TARGET}/candidates"))["items"]} == {None}
    status, told = await ask(service, "POST", path, WRITES, {"units": ["1"], "reason": "vår", "matches": 1})
    assert (status, told["objects"], told["units"]) == (202, 1, ["1"])
    for units in (["1"], ["nowhere"]):
        again = await ask(service, "POST", path, WRITES, {"units": units, "reason": "vår", "matches": 1})
        assert (again[0], again[1]["code"]) == (409, "target.nothing_to_adopt")
    await here.here.converged()
    (left,) = (await got(service, f"/{TARGET}/candidates"))["items"]
    assert left["unit"] == "2"
    assert set(await here.groups(Kind.UNIT)) == {"1"}
    assert (await ask(service, "POST", f"{API}/nowhere/candidates/adopt", WRITES, every))[0] == 404
    rows = await here.here.rows("SELECT body::jsonb -> 'data' FROM outbox WHERE type = %s", AUDIT_RECORDED)
    audited = [row[0] for row in rows if row[0]["action"] == "units.adopted"]
    assert [(one["reason"], one["parameters"]["units"]) for one in audited] == [("vår", "1")]


async def test_a_target_is_read_when_it_is_asked_for(service: Service) -> None:
    assert (await ask(service, "POST", f"{API}/{TARGET}/read", READS, {}))[0] == 403
    assert not (await got(service, f"/{TARGET}/findings"))["reading"]
    status, told = await ask(service, "POST", f"{API}/{TARGET}/read", WRITES, {})
    assert (status, told["reading"]) == (202, True)
    assert (await got(service, f"/{TARGET}/findings"))["reading"]
