"""`stafett org`: the tree, and plans read from files, against an API that answers like orgtree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.fake_api import FakeApi, invoke, serving

API = "/v1/organisation"


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as found:
        yield found


def unit(name: str, parent: str | None, depth: int, **fields: Any) -> dict[str, Any]:
    none: dict[str, Any] = {"leaders": [], "people": 2, "children": 0, "problems": []}
    return {"unit": name, "name": f"Enhet {name}", "parent": parent, "depth": depth, **none, **fields}


def test_the_tree_is_drawn_with_who_leads_and_what_is_left_out(api: FakeApi) -> None:
    leader = {"person": None, "name": "Ulla Ström", "acting": False}
    units = [unit("1", None, 1, leaders=[leader], children=1), unit("10", "1", 2, children=3), unit("2", None, 1)]
    api.answers("GET", f"{API}/tree", (200, {"on": "2027-03-15", "units": units, "waiting": []}))
    said = invoke(api, "org", "tree", "--on", "2027-03-15").stdout.splitlines()
    assert said[0] == "The organisation on 2027-03-15"
    assert [line.strip("│├└─ ") for line in said[1:]] == [
        "Enhet 1 1  Ulla Ström  2 people",
        "Enhet 10 10  2 people  3 units below",
        "Enhet 2 2  2 people",
    ]
    assert api.calls[0].query == {"on": "2027-03-15", "depth": "4"}


def test_a_plan_is_read_from_a_table_where_an_empty_cell_changes_nothing(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "plan.csv"
    file.write_text(
        "unit;effectiveFrom;parent;manager;validTo;successors\n10;2027-05-01;2;;;\n11;;;-;2027-05-31;12 13\n"
    )
    before, after = {"path": ["1", "10"]}, {"path": ["2", "10"]}
    moved = {"unit": "10", "name": "Enhet 10", "kinds": ["moved"], "before": before, "after": after}
    day = {"on": "2027-05-01", "units": [moved], "problems": [], "people": 7,
           "movesPeople": [{"from": "11", "to": None, "people": 4}]}  # fmt: skip
    api.answers("POST", f"{API}/plan", (200, {"days": [day]}))
    done = invoke(api, "org", "plan", str(file))
    assert done.exit_code == 0
    assert api.calls[0].body == {
        "units": [
            {"unit": "10", "effectiveFrom": "2027-05-01", "parent": "2"},
            {"unit": "11", "manager": None, "validTo": "2027-05-31", "successors": ["12", "13"]},
        ]
    }
    for part in ("1 units change, 7 people", "1/10", "2/10", "4 people move from 11 to no unit", "Nothing is changed"):
        assert part in done.stdout


def test_a_plan_that_would_be_wrong_says_so_and_a_file_that_is_no_plan_too(api: FakeApi, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('[{"unit": "1", "parent": "10"}]')
    wrong = {"unit": "1", "name": "Enhet 1", "code": "unit.circle", "other": "10"}
    day = {"on": "2027-05-01", "units": [], "problems": [wrong], "people": 0, "movesPeople": []}
    api.answers("POST", f"{API}/plan", (200, {"days": [day]}))
    done = invoke(api, "org", "plan", str(file))
    assert (done.exit_code, "units lie above each other" in done.stdout) == (1, True)
    file.write_text("{")
    assert invoke(api, "org", "plan", str(file)).exit_code == 2
    table = tmp_path / "plan.csv"
    table.write_text("enhet,parent\n1,2\n")
    done = invoke(api, "org", "plan", str(table))
    assert (done.exit_code, "Unknown: enhet" in done.stderr) == (2, True)


def test_how_units_stand_in_directories_and_what_hinders_in_one(api: FakeApi) -> None:
    counts = {"units": 61, "members": 957, "membersWaiting": 3, "problems": 1, "findings": 2, "candidates": 4}
    one = {"target": "openldap", "mode": "write", "comparedAt": "2027-03-15T03:00:00Z", **counts}
    api.answers("GET", f"{API}/targets", (200, {"items": [one]}))
    said = invoke(api, "org", "targets").stdout
    assert all(str(part) in said for part in ("openldap", *counts.values()))
    since = "2027-03-14T08:00:00Z"
    parts: dict[str, list[dict[str, Any]]] = {
        "problems": [{"unit": "o-1", "problem": {"code": "unit.members_left"}, "since": since}],
        "candidates": [{"unit": "o-2", "kind": "unit", "place": "cn=[red]x", "approvedAt": None}],
        "findings": [{"unit": "o-3", "kind": "entry", "code": "drift.unit_renamed", "count": 7, "firstSeen": since}],
    }
    for name, items in parts.items():
        api.answers("GET", f"{API}/targets/openldap/{name}", (200, {"items": items}))
    said = invoke(api, "org", "targets", "openldap").stdout
    assert all(part in said for part in ("o-1", "o-2", "cn=[red]x", "o-3", "(7)", "waits for a decision"))
    for name in parts:
        api.answers("GET", f"{API}/targets/openldap/{name}", (200, {"items": []}))
    assert "Every unit stands as it shall." in invoke(api, "org", "targets", "openldap").stdout
