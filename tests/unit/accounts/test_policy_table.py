"""The table that is delivered: every form has a row of its own kind, and the table can be activated."""

import pytest

from contracts.codes import Form
from services.accounts.domain.timeline import Entitlement
from services.kernel.policy import Policies, Table
from tests.support.kernel import ROOT

FILE = ROOT / "deploy/policy/accounts.json"
TABLE = Table.parse("accounts", FILE.read_text(encoding="utf-8"), file=FILE.name)
BOOK = Policies({("alvsund", "accounts"): TABLE})


@pytest.mark.parametrize(
    ("form", "row", "days"),
    [
        (Form.PERMANENT, "employed", (14, 30)),
        (Form.FIXED_TERM, "fixed-term", (14, 30)),
        (Form.SUBSTITUTE, "fixed-term", (14, 30)),
        (Form.PROBATION, "fixed-term", (14, 30)),
        (Form.SEASONAL, "seasonal", (7, 30)),
        (Form.SCHOOL_BREAK, "school-break", (14, 30)),
        (Form.HOURLY, "hourly", (3, 60)),
        (Form.ELECTED, "elected", (14, 90)),
        (Form.CONSULTANT, "consultant", (3, 7)),
        (Form.TRAINEE, "trainee", (7, 14)),
    ],
)
def test_every_form_has_its_row(form: Form, row: str, days: tuple[int, int]) -> None:
    decision = BOOK.decide("accounts", "alvsund", {"form": form.value})
    found = Entitlement.from_output(decision.output, table="accounts", row=decision.row, target="openldap")
    assert (found.row, found.account) == (row, True)
    assert (found.lead_days, found.grace_days) == days


def test_a_form_that_is_not_listed_meets_the_last_row() -> None:
    assert BOOK.decide("accounts", "alvsund", {"form": "astronaut"}).row == "other"
