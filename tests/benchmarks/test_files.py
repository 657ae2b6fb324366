"""A full file of 50,000 rows: planned when nobody is known, applied, planned unchanged, planned with some changes."""

import io
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deploy.local.settings import ROOT
from services.ingestion.adapters import mappings, reading
from services.ingestion.domain.grouping import grouped, unpacked
from services.ingestion.domain.rows import told
from tests.benchmarks import figures
from tests.benchmarks.site import Site, site, until
from tests.support import hr

ROWS = 50_000
HEADER = (
    "POSTTYP;PERSONID;NAMN;TILLTALSNAMN;PERSONNR;SEKRETESS;ANSTNR;ANSTFORM;FROM;TOM;SYSSGRAD;LON;ENHET;BEFATTNING;"
    "ANSVAR;VERKSAMHET;CHEF;FRANVARO;FRVDEL;FRVFROM;FRVTOM"
)


def content(rows: range, *, title: str = "Undersköterska", every: int = 0) -> bytes:
    """A file; every so manieth person has another title."""
    lines = [HEADER]
    for number in rows:
        post = title if every and number % every == 0 else "Barnskötare"
        lines.append(
            f"P;p-{number};Åkesson{number % 977}, Anna Märta{number % 311};Anna;{19500101 + number};N;{number};T;"
            f"2020-01-01;9999-12-31;0,75;32 500,00;1100;{post};{number % 40};{number % 7};p-{number // 20};;;;"
        )
    return "\r\n".join([*lines, ""]).encode("cp1252")


@pytest.fixture(scope="module")
def place() -> Iterator[Site]:
    with site(services=("ingestion",)) as place:
        place.house.post(place.units)
        yield place


class Desk:
    """Sends files and waits for them."""

    def __init__(self, place: Site) -> None:
        headers = {"Authorization": f"Bearer {place.house.token()}", "Content-Type": "text/csv"}
        url = f"http://127.0.0.1:{place.installation.ports.http['ingestion']}"
        self._client = httpx2.Client(base_url=url, headers=headers, timeout=60)
        self._status = Path("/proc") / str(place.installation.services["ingestion"].pid) / "status"

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def send(self, file: bytes, **query: str) -> tuple[str, float]:
        """Upload a full file; return its id and how long it took until its plan stood."""
        since = time.perf_counter()
        answer = self._client.post("/v1/files", params={"source": hr.SOURCE, "kind": "full", **query}, content=file)
        assert answer.status_code == 202, answer.text
        id_ = answer.json()["id"]
        return id_, self.reached(id_, "planned") - since

    def apply(self, file: str) -> float:
        """Apply a plan; return how long it took."""
        since = time.perf_counter()
        assert self._client.post(f"/v1/files/{file}/apply").status_code == 202
        return self.reached(file, "done") - since

    def reached(self, file: str, state: str) -> float:
        """Wait for a state; return when it was reached."""
        return until(lambda: self.status(file)["state"] == state, seconds=300, every=0.25)

    def status(self, file: str) -> dict[str, Any]:
        """How a file stands."""
        found: dict[str, Any] = self._client.get(f"/v1/files/{file}").json()
        assert found["state"] != "refused", found
        return found

    def peak(self) -> float:
        """The most memory that the service has had resident, in MB."""
        return int(self._status.read_text().split("VmHWM:")[1].split()[0]) / 1024


@pytest.mark.timeout(1800)
def test_a_full_file(place: Site) -> None:
    whole = content(range(ROWS))
    with closing(Desk(place)) as desk, figures.chapter(f"10. a full file of {ROWS:,} rows, {len(whole) / 1e6:.0f} MB"):
        figures.show(f"  floor, rows read and mapped in one thread and nothing else: {_floor(whole):.1f} s")
        first, seconds = desk.send(whole)
        assert desk.status(first)["counts"]["joiner"] == ROWS
        figures.measured("planned, nobody known before", f"{seconds:.1f} s, {desk.peak():.0f} MB", "60 s, 500 MB")
        figures.show(f"  applied: {ROWS / desk.apply(first):,.0f} people/s")
        time.sleep(1)
        _, seconds = desk.send(whole, made=_made(place))
        figures.measured("planned, unchanged", f"{seconds:.1f} s", "15 s")
        changed, seconds = desk.send(content(range(500, ROWS), every=20))
        counts = desk.status(changed)["counts"]
        assert (counts["mover"], counts["missing"]) == ((ROWS - 500) // 20, 500)
        figures.measured("planned, 5 % changed and 1 % missing", f"{seconds:.1f} s", "60 s")
        figures.measured("memory at its highest", f"{desk.peak():.0f} MB", "500 MB")


def _made(place: Site) -> str:
    with place.house.admin() as conn:
        row = conn.execute("SELECT now() + (SELECT clock_offset FROM kernel.clock)").fetchone()
    assert row is not None
    return str(row[0].isoformat())


def _floor(file: bytes) -> float:
    mapping = mappings.load(ROOT / "deploy/mappings/invented.toml")
    since = time.perf_counter()
    found = grouped(reading.rows(io.BytesIO(file), mapping), mapping)
    for external_id, rows in found.persons.items():
        assert not told(mapping, external_id, [unpacked(row) for row in rows]).rejects
    return time.perf_counter() - since
