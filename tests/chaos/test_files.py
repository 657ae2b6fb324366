"""A file of an HR system and `kill -9` in the middle of it: it goes on, nobody is left out, nothing is done twice."""

from collections.abc import Iterator

import pytest

from tests.support import hr
from tests.support.house import House, at, running_house, wait_until
from tests.support.story import TODAY

HEADER = (
    "POSTTYP;PERSONID;NAMN;TILLTALSNAMN;PERSONNR;SEKRETESS;ANSTNR;ANSTFORM;FROM;TOM;SYSSGRAD;LON;ENHET;BEFATTNING;"
    "ANSVAR;VERKSAMHET;CHEF;FRANVARO;FRVDEL;FRVFROM;FRVTOM"
)
PEOPLE = 600
"""More than two steps."""

LETTERS = str.maketrans("0123456789", "aeioubdklm")

POINTS = ["files.after_plan:2", "files.after_judgement", "files.before_mark:2", "files.after_mark:2"]


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with running_house(STAFETT_FOLDER_SECONDS="0.3") as house:
        house.set_business_time(at(TODAY))
        house.post([hr.unit("u-1")])
        house.settled()
        yield house


def _sheet(prefix: str) -> bytes:
    lines = [HEADER]
    for number in range(PEOPLE):
        one = f"{prefix}{number}"
        # names of their own: that thousands want one login is another test's matter
        family = f"Berg{number:03}".translate(LETTERS)
        lines.append(f"P;{one};{family}, Anna;;;N;{one};T;2026-01-01;9999-12-31;1;;1100;Kock;;;;;;;")
    return "\n".join([*lines, ""]).encode()


def _facts(house: House, prefix: str) -> tuple[int, int]:
    """Return how many facts there are of these people, and how many revisions."""
    statement = (
        "SELECT (SELECT count(*) FROM ingestion.fact f WHERE f.person IN (SELECT person FROM people)),"
        " (SELECT count(*) FROM ingestion.person_version v WHERE v.person IN (SELECT person FROM people))"
    )
    people = "WITH people AS (SELECT person FROM ingestion.source_identity WHERE external_id LIKE %s) "
    with house.admin() as conn:
        row = conn.execute((people + statement).encode(), (f"{prefix}%",)).fetchone()
    assert row is not None
    return row[0], row[1]


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_of_a_file(point: str, house: House, tmp_path_factory: pytest.TempPathFactory) -> None:
    prefix = f"{point.partition('.')[2].partition(':')[0].replace('_', '')}"
    file = tmp_path_factory.mktemp("file") / "personal.csv"
    file.write_bytes(_sheet(prefix))
    house.installation.services["ingestion"].stop()
    dying = house.installation.service("ingestion", STAFETT_CRASH_AT=point)
    dying.launch()
    wait_until(lambda: dying.readiness()[1].startswith("{"), seconds=30)
    path = f"/v1/files?source={hr.SOURCE}&kind=delta"
    answer = house.upload(path, file)
    wait_until(lambda: dying.pid is None, seconds=40, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service("ingestion", STAFETT_CRASH_AT="").launch()

    def done() -> bool:
        try:
            return bool(house.request("GET", "ingestion", f"/v1/files/{answer['id']}")[1]["state"] == "done")
        except OSError:
            return False

    wait_until(done, seconds=90)
    assert _facts(house, prefix) == (PEOPLE, PEOPLE)
    house.settled(seconds=120)
    accounts = [number for number in house.directory() if number.startswith(prefix)]
    assert len(accounts) == PEOPLE


@pytest.mark.parametrize("point", ["folder.after_store", "folder.after_move"])
def test_killed_between_a_folder_and_the_register(point: str, house: House) -> None:
    prefix = point.partition(".")[2].replace("_", "")
    folder = house.installation.folder / "hr/alvsund/personal"
    house.installation.services["ingestion"].stop()
    dying = house.installation.service("ingestion", STAFETT_CRASH_AT=point)
    dying.launch()
    wait_until(lambda: dying.readiness()[1].startswith("{"), seconds=30)
    (folder / f"{prefix}.part").write_bytes(_sheet(prefix))
    (folder / f"{prefix}.part").rename(folder / f"{prefix}.csv")
    wait_until(lambda: dying.pid is None, seconds=60, why=lambda: "the crash point was not passed")
    dying.kill9()
    house.installation.service("ingestion", STAFETT_CRASH_AT="").launch()
    wait_until(lambda: len(list((folder / "done").glob(f"*-{prefix}.csv"))) == 1, seconds=60)

    def forgotten() -> bool:
        with house.admin() as conn:
            return conn.execute("SELECT count(*) FROM ingestion.file_drop").fetchone() == (0,)

    wait_until(forgotten, seconds=20)
    assert not (folder / f"{prefix}.csv").exists()
    with house.admin() as conn:
        stored = conn.execute("SELECT count(*) FROM ingestion.file_import WHERE name = %s", (f"{prefix}.csv",))
        assert stored.fetchone() == (1,)
    assert _facts(house, prefix) == (PEOPLE, PEOPLE)
