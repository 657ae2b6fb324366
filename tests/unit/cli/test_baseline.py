"""`stafett baseline` against a strict fake of status, over real HTTP."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import Result

from tests.unit.cli.fake_api import FakeApi, invoke, serving

JOINER: dict[str, Any] = {
    "kind": "joiner", "minutes": 95.5, "leadHours": 72.0, "measuredOn": "2026-10-01", "cases": 12,
    "note": "[tidtagning]", "actor": "it-1", "toldAt": None,
}  # fmt: skip


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


def run(api: FakeApi, *words: str) -> Result:
    return invoke(api, "baseline", *words)


def test_what_is_measured_is_shown_beside_what_is_assumed(api: FakeApi) -> None:
    api.answers("GET", "/v1/baseline", (200, {"items": [JOINER], "assumed": {"order": 34.0}, "told": [JOINER]}))
    shown = run(api, "show")
    assert shown.exit_code == 0, shown.output
    assert "95.5" in shown.output
    assert "[tidtagning]" in shown.output
    assert "order: 34 minutes are an assumption" in shown.output


def test_a_measure_is_told(api: FakeApi) -> None:
    api.answers("POST", "/v1/baseline", (201, JOINER))
    words = ("joiner", "--minutes", "95.5", "--lead-hours", "72", "--measured-on", "2026-10-01", "--cases", "12")
    done = run(api, "measure", *words)
    assert done.exit_code == 0, done.output
    (call,) = api.calls
    expected = {"kind": "joiner", "minutes": 95.5, "leadHours": 72.0, "measuredOn": "2026-10-01", "cases": 12}
    assert call.body == expected
