"""Every command against a strict fake of the services, over real HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from deploy.local.settings import ROOT
from services.cli.domain.texts import CODES, MESSAGES, REMEDIES
from services.cli.settings import Settings
from tests.unit.cli.fake_api import TOKEN, Call, FakeApi, invoke, serving

ANNA, CASE, HOLD = str(uuid4()), str(uuid4()), str(uuid4())
STEP = {
    "service": "accounts",
    "target": "ldap",
    "code": "account.enabled",
    "state": "parked",
    "mandatory": True,
    "due": "2026-06-01T00:00:00Z",
    "verifiedAt": None,
    "parameters": {},
    "problem": {"code": "account.unmanaged", "failure": "permanent", "parameters": {"entry": "7"}},
    "followUp": False,
}


def case(state: str = "running", **values: Any) -> dict[str, Any]:
    return {
        "id": CASE,
        "person": ANNA,
        "name": "Anna Åkesson",
        "kind": "joiner",
        "reason": "hire",
        "state": state,
        "effectiveAt": "2026-06-01T00:00:00Z",
        "seconds": 12.5 if state == "done" else None,
        "steps": [STEP],
        "remains": [] if state == "done" else [STEP],
        **values,
    }


PERSON = {
    "id": ANNA,
    "name": "Anna [bold]Åkesson",
    "place": {
        "unit": {"unit": "10", "name": "Björk[red]skolan"},
        "memberships": [{"unit": "20", "name": None}],
        "changedAt": "2026-03-01T07:00:00Z",
    },
    "targets": [
        {
            "service": "accounts",
            "target": "ldap",
            "desired": "enabled",
            "observed": "disabled",
            "userName": "anna.akesson",
            "verifiedAt": "2026-05-04T08:15:30Z",
            "revision": 3,
            "policyHash": "sha256:5e",
            "why": [{"table": "accounts", "row": "permanent", "employment": None}],
            "steps": [STEP],
            "entitlements": [
                {"kind": "group", "value": "chefer", "given": True, "wanted": True, "table": "birthright", "row": "p"},
                {"kind": "group", "value": "[alla]", "given": True, "wanted": False, "table": None, "row": None},
                {"kind": "licence", "value": "E3", "given": False, "wanted": True, "table": "birthright", "row": "m"},
                {
                    "kind": "licence",
                    "value": "E5",
                    "given": False,
                    "wanted": True,
                    "table": None,
                    "row": None,
                    "problem": {"code": "account.licence_none_left", "failure": "waiting", "parameters": {}},
                },
            ],
        }
    ],
    "cases": [case()],
    "remains": [STEP],
}
HELD = {
    "person": ANNA,
    "name": "Anna",
    "service": "accounts",
    "target": "ldap",
    "state": "held",
    "code": "account.disabled",
    "problem": None,
    "hold": HOLD,
    "since": "2026-05-04T08:15:30Z",
}
NOT_FOUND = (404, {"title": "There is no such case", "code": "case.unknown", "status": 404})


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with serving() as fake:
        yield fake


class Result:
    """What a command printed and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


def run(api: FakeApi, *arguments: str, typed: str | None = None, token: str | None = TOKEN, lang: str = "en") -> Result:
    found = invoke(api, *arguments, typed=typed, token=token, lang=lang)
    return Result(found.exit_code, found.stdout, found.stderr)


def events(tmp_path: Path, count: int, *extra: str) -> Path:
    file = tmp_path / "events.jsonl"
    rows = [json.dumps({"id": f"e{number}", "data": {}}) for number in range(count)]
    file.write_text("\n".join([*rows, *extra]) + "\n", encoding="utf-8")
    return file


def verdicts(call: Call) -> tuple[int, Any]:
    assert call.headers["content-type"] == "application/cloudevents-batch+json"
    return 200, {"results": [{"id": event["id"], "status": "accepted"} for event in call.body]}


def test_import_sends_batches_of_500_and_counts_the_verdicts(api: FakeApi, tmp_path: Path) -> None:
    api.routes["POST", "/v1/events"] = verdicts
    result = run(api, "import", str(events(tmp_path, 1201)), "--json")
    assert (result.code, result.data) == (0, {"verdicts": {"accepted": 1201}, "rejects": []})
    assert [len(call.body) for call in api.calls] == [500, 500, 201]
    assert not (tmp_path / "events.jsonl.rejects.jsonl").exists()


def test_import_keeps_what_was_rejected_with_line_and_reason(api: FakeApi, tmp_path: Path) -> None:
    problem = {"code": "event.invalid", "title": "t", "errors": [{"field": "/data", "code": "x", "reason": "no unit"}]}

    def route(call: Call) -> tuple[int, Any]:
        said = [
            {"status": "rejected", "problem": problem} if event["id"] == "e1" else {"status": "duplicate"}
            for event in call.body
        ]
        return 200, {"results": said, "counts": {}}

    api.routes["POST", "/v1/events"] = route
    result = run(api, "import", str(events(tmp_path, 3, "", "{oops", "[1]")))
    assert result.code == 1
    rows = [json.loads(line) for line in (tmp_path / "events.jsonl.rejects.jsonl").read_text().splitlines()]
    assert [(row["line"], row["code"]) for row in rows] == [
        (5, "json.invalid"),
        (6, "json.invalid"),
        (2, "event.invalid"),
    ]
    assert rows[2]["reason"] == "/data no unit"
    assert "already accepted" in result.out


def test_an_event_that_spoils_the_whole_request_is_found_by_halving(api: FakeApi, tmp_path: Path) -> None:
    def route(call: Call) -> tuple[int, Any]:
        if any(event["id"] == "e5" for event in call.body):
            return 422, {"title": "Not an event", "code": "event.malformed", "status": 422}
        return verdicts(call)

    api.routes["POST", "/v1/events"] = route
    result = run(api, "import", str(events(tmp_path, 9)), "--json")
    assert result.data["verdicts"] == {"accepted": 8, "rejected": 1}
    assert result.data["rejects"][0]["line"] == 6


def test_a_refused_token_ends_an_import_with_its_problem(api: FakeApi, tmp_path: Path) -> None:
    result = run(api, "import", str(events(tmp_path, 1)), token="another")
    assert result.code == 3
    assert "token.missing" in result.err
    assert "Fetch a new token" in result.err


def test_a_person_is_shown_by_search_and_by_id_without_interpreting_the_name(api: FakeApi) -> None:
    api.answers("GET", "/v1/persons", (200, {"items": [{"id": ANNA}], "cursor": None}))
    api.answers("GET", f"/v1/persons/{ANNA}", (200, PERSON))
    for who in ("anna", ANNA):
        result = run(api, "person", who)
        assert result.code == 0
        assert "Anna [bold]Åkesson" in result.out
        assert "Unit: Björk[red]skolan (10), 20" in result.out
        assert "not managed by Stafett entry=7" in result.out
    assert run(api, "person", ANNA, "--json").data == PERSON
    assert api.calls[0].query == {"q": "anna", "limit": "50"}


def test_a_search_with_several_hits_lists_them_and_with_none_says_so(api: FakeApi) -> None:
    items = [{"id": ANNA, "name": "Anna", "userNames": ["a"]}, {"id": CASE, "name": "Ann", "userNames": []}]
    api.answers("GET", "/v1/persons", (200, {"items": items, "cursor": "x"}))
    result = run(api, "person", "an")
    assert result.code == 0
    assert ANNA in result.out
    api.answers("GET", "/v1/persons", (200, {"items": [], "cursor": None}))
    result = run(api, "person", "zz")
    assert result.code == 3
    assert "Nobody found for zz" in result.err


def test_a_case_is_shown_in_the_chosen_language(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{CASE}", (200, case("done")))
    assert "Took 12.5 s" in run(api, "case", CASE).out
    swedish = run(api, "case", CASE, lang="sv").out
    assert "Tog 12.5 s" in swedish
    assert "Inget återstår" in swedish


def test_follow_looks_until_the_case_is_closed(api: FakeApi) -> None:
    api.answers(
        "GET", f"/v1/cases/{CASE}", (200, case("waiting")), (200, case()), (200, case("attention")), (200, case("done"))
    )
    result = run(api, "follow", CASE, "--interval", "0.05", "--json")
    assert (result.code, result.data[0]["state"]) == (0, "done")
    assert len(api.calls) == 4


def test_follow_of_a_person_watches_all_open_cases(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{ANNA}", NOT_FOUND)
    api.answers("GET", f"/v1/persons/{ANNA}", (200, PERSON))
    api.answers("GET", f"/v1/cases/{CASE}", (200, case()), (200, case("cancelled")))
    result = run(api, "follow", ANNA, "--interval", "0.05")
    assert result.code == 0
    assert "cancelled" in result.out
    api.answers("GET", f"/v1/persons/{ANNA}", (200, {**PERSON, "cases": []}))
    api.answers("GET", "/v1/cases", (200, {"items": [], "cursor": None}))
    assert "No open cases" in run(api, "follow", ANNA).out


def test_follow_gives_up_in_time(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{CASE}", (200, case()))
    assert run(api, "follow", CASE, "--interval", "0.05", "--timeout", "0.1").code == 5


def test_ctrl_c_during_follow_leaves_cleanly(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.answers("GET", f"/v1/cases/{CASE}", (200, case()))

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    result = run(api, "follow", CASE)
    assert result.code == 130
    assert "goes on without you" in result.err


def test_explain_shows_facts_revision_and_policy_row(api: FakeApi) -> None:
    fact = {"id": "e1", "source": "https://hr", "assertedAt": "2026-05-04T08:15:30Z", "revision": 3, "actor": "hr"}
    path = f"/v1/persons/{ANNA}/facts"
    api.answers("GET", f"/v1/persons/{ANNA}", (200, PERSON))
    api.answers(
        "GET",
        path,
        (200, {"facts": [fact], "next": f"{path}?after=1&limit=50"}),
        (200, {"facts": [{**fact, "id": "e2"}], "next": None}),
    )
    result = run(api, "explain", ANNA)
    for word in ("https://hr", "e1", "e2", "Revision 3", "sha256:5e", "row permanent"):
        assert word in result.out
    api.answers(
        "GET", f"/v1/persons/{ANNA}/facts", (403, {"title": "The token lacks a scope", "code": "scope.missing"})
    )
    assert "The token lacks a scope" in run(api, "explain", ANNA).out


def test_a_person_shows_groups_and_licences_with_the_row_that_gives_them(api: FakeApi) -> None:
    for command in ("person", "explain"):
        api.answers("GET", f"/v1/persons/{ANNA}", (200, PERSON))
        api.answers("GET", f"/v1/persons/{ANNA}/facts", (200, {"facts": [], "next": None}))
        said = run(api, command, ANNA).out
        assert "group chefer: there (table birthright, row p)" in said
        assert "group [alla]: to be taken away" in said
        assert "licence E3: to be given (table birthright, row m)" in said
        assert "licence E5: no licence is left: buy more" in said


BIRTHRIGHT_PLAN = {
    "table": "birthright",
    "hash": "b1",
    "people": 9,
    "gains": 0,
    "losses": 3,
    "reschedules": 0,
    "values": [{"target": "openldap", "kind": "group", "value": "rektorer", "gains": 0, "losses": 3}],
    "removals": 3,
    "allowance": 2,
    "needsConfirmation": True,
    "examples": [],
}


def test_a_table_is_named_and_what_it_takes_is_counted_before_it_is_activated(api: FakeApi) -> None:
    path = "/v1/policy/birthright"
    api.answers("POST", f"{path}/plan", (200, BIRTHRIGHT_PLAN))
    api.answers("POST", f"{path}/activate", (202, {"hash": "b1", "lookedAtAgain": 9, "perSecond": 200.0}))
    result = run(api, "policy", "activate", "--table", "birthright", "--reason", "prov", typed="y\n")
    assert result.code == 0
    assert "rektorer" in result.out
    assert "3 lose something at once, 2 are allowed" in result.err
    assert api.calls[-1].body == {"hash": "b1", "reason": "prov", "removals": 3}


def test_every_table_is_listed_with_what_waits_and_what_is_wrong(api: FakeApi) -> None:
    active = {"hash": "a1", "activatedAt": "2026-05-04T08:15:30Z", "actor": "drift", "reason": "r", "version": 2}
    wrong = {"file": "birthright.json", "row": "heads", "reason": "value is empty"}
    items = [
        {"table": "accounts", "active": active, "candidate": {"hash": "a2", "differs": True}, "refused": None},
        {"table": "birthright", "active": None, "candidate": None, "refused": wrong},
    ]
    api.answers("GET", "/v1/policy", (200, {"items": items}))
    said = " ".join(run(api, "policy", "list").out.split())
    for word in ("a1", "a2", "birthright.json cannot be used: heads: value is empty"):
        assert word in said
    api.answers("GET", "/v1/policy/birthright", (200, items[1]))
    shown = run(api, "policy", "show", "--table", "birthright")
    assert ("No table is active." in shown.out, "value is empty" in shown.err) == (True, True)


def test_holds_come_from_every_page(api: FakeApi) -> None:
    api.answers("GET", "/v1/holds", (200, {"items": [HELD], "cursor": "c"}), (200, {"items": [HELD], "cursor": None}))
    assert len(run(api, "holds", "--json").data["items"]) == 2
    assert [call.query.get("cursor") for call in api.calls] == [None, "c"]


def test_release_of_all_asks_first_and_releases_exactly_what_was_shown(api: FakeApi) -> None:
    api.answers("GET", "/v1/holds", (200, {"items": [HELD], "cursor": None}))
    api.answers("POST", "/v1/commands", (202, {"id": CASE}))
    refused = run(api, "release", "--all", "--reason", "granskat", typed="n\n")
    assert refused.code == 130
    assert not [call for call in api.calls if call.method == "POST"]
    for arguments, typed in ((["--all"], "y\n"), (["--all", "--yes"], None), ([HOLD], None)):
        assert run(api, "release", *arguments, "--reason", "granskat", typed=typed).code == 0
        sent = api.calls[-1]
        assert sent.body == {"type": "release", "service": "accounts", "reason": "granskat", "hold": HOLD}
        assert UUID(sent.headers["idempotency-key"])
    assert run(api, "release", str(uuid4()), "--reason", "x").code == 3
    assert run(api, "release", "--reason", "x").code == 2
    assert run(api, "release", HOLD).code == 2


def test_release_of_all_leaves_what_was_refused_and_says_how_many(api: FakeApi) -> None:
    refused = {**HELD, "hold": str(uuid4()), "problem": {"code": "guard.refused", "failure": "guard", "parameters": {}}}
    api.answers("POST", "/v1/commands", (202, {"id": CASE}))
    api.answers("GET", "/v1/holds", (200, {"items": [HELD, refused, HELD], "cursor": None}))
    result = run(api, "release", "--all", "--yes", "--reason", "r")
    assert (result.code, result.out) == (0, "2 commands were handed to accounts\n")
    assert {call.body["hold"] for call in api.calls if call.method == "POST"} == {HOLD}
    assert "refused" in run(api, "holds").out
    api.answers("GET", "/v1/holds", (200, {"items": [refused], "cursor": None}))
    assert "1 held are refused" in run(api, "release", "--all", "--yes", "--reason", "r").out
    api.answers("GET", "/v1/holds", (200, {"items": [], "cursor": None}))
    assert run(api, "release", "--all", "--reason", "r").out == "Nothing is held\n"


def test_release_of_all_goes_on_past_what_was_decided_meanwhile_and_shows_all_results(api: FakeApi) -> None:
    held = [{**HELD, "hold": str(uuid4())} for _ in range(4)]
    gone = (409, {"title": "Nothing to do", "code": "command.nothing_to_do", "matches": 0})
    busy = (409, {"title": "Under way", "code": "command.under_way"})
    api.answers("GET", "/v1/holds", (200, {"items": held, "cursor": None}))
    api.answers("POST", "/v1/commands", (202, {"id": CASE}), gone, busy, (202, {"id": ANNA}))
    result = run(api, "release", "--all", "--yes", "--reason", "r")
    assert result.code == 0
    assert "2 commands were handed to accounts" in result.out
    assert "2 were decided meanwhile" in result.out
    assert [call.body["hold"] for call in api.calls if call.method == "POST"] == [one["hold"] for one in held]
    api.answers("POST", "/v1/commands", (202, {"id": CASE}), gone, (403, {"title": "No", "code": "scope.missing"}))
    stopped = run(api, "release", "--all", "--yes", "--reason", "r", "--json")
    assert stopped.code == 3
    assert [one["id"] for one in stopped.data["commands"]] == [CASE], "what was done is told"
    assert stopped.data["decidedMeanwhile"] == [held[1]["hold"]]
    api.answers("POST", "/v1/commands", gone)
    assert run(api, "release", str(held[0]["hold"]), "--reason", "r").code == 3, "one alone: there is nothing to do"


def test_many_dead_letters_are_confirmed_by_their_number(api: FakeApi) -> None:
    many = (409, {"title": "This concerns 30", "code": "command.confirm", "matches": 30})
    api.answers("POST", "/v1/commands", many, (202, {"id": CASE}))
    assert run(api, "redeliver", "--service", "accounts", "--reason", "r", typed="y\n").code == 0
    assert api.calls[-1].body["matches"] == 30


def test_wrong_use_is_said_with_what_is_missing(api: FakeApi) -> None:
    result = run(api, "dead", "--service", "nope")
    assert result.code == 2
    assert all(word in result.err for word in ("ingestion", "accounts", "status"))
    assert "PERSON is missing" in run(api, "retry", "--service", "accounts", "--reason", "r").err
    assert api.calls == []


def test_follow_without_a_terminal_tells_each_change_in_a_line(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{CASE}", (200, case()), (200, case()), (200, case()), (200, case("done")))
    result = run(api, "follow", CASE, "--interval", "0.05")
    assert len(result.err.splitlines()) == 2
    assert result.out.endswith("\n")
    assert CASE in result.out


def test_refuse_retry_redeliver_and_replay_hand_commands_over(api: FakeApi) -> None:
    api.answers("GET", "/v1/holds", (200, {"items": [HELD], "cursor": None}))
    api.answers("POST", "/v1/commands", (202, {"id": CASE}))
    api.answers("POST", "/v1/replays", (202, {"to": "accounts", "producers": ["ingestion"]}))
    common = {"service": "accounts", "reason": "r"}
    for arguments, body in (
        (["refuse", HOLD, "--reason", "r"], {"type": "refuse", "hold": HOLD, **common}),
        (["retry", ANNA, "--service", "accounts", "--reason", "r"], {"type": "retry", "person": ANNA, **common}),
        (
            ["retry", "--all", "--service", "accounts", "--reason", "r", "--target", "ldap"],
            {"type": "retry", "target": "ldap", **common},
        ),
        (["redeliver", "--service", "accounts", "--reason", "r"], {"type": "redeliver", **common}),
        (["replay", "--to", "accounts", "--reason", "r"], {"to": "accounts", "reason": "r"}),
    ):
        assert run(api, *arguments).code == 0, arguments
        assert api.calls[-1].body == body
    assert run(api, "retry", "--service", "accounts", "--reason", "r").code == 2
    assert run(api, "retry", ANNA, "--all", "--service", "accounts", "--reason", "r").code == 2


def test_a_problem_shows_title_code_field_reason_and_what_to_do(api: FakeApi) -> None:
    problem = {
        "title": "There is no such service",
        "code": "service.unknown",
        "errors": [{"field": "/body/service", "code": "service.unknown", "reason": "one of accounts"}],
    }
    api.answers("POST", "/v1/commands", (422, problem))
    result = run(api, "retry", "--all", "--service", "payroll", "--reason", "r")
    assert result.code == 3
    for word in ("There is no such service", "service.unknown", "/body/service", "one of accounts", "Choose one"):
        assert word in result.err


def test_an_answer_that_is_not_json_is_a_problem_and_no_crash(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{CASE}", (502, b"<html>"))
    assert run(api, "case", CASE).code == 3
    api.answers("GET", f"/v1/cases/{CASE}", (200, b"<html>"))
    assert run(api, "case", CASE).code == 3


@pytest.mark.parametrize(("lang", "words"), [("en", "Run `make up`"), ("sv", "Kör `make up`")])
def test_a_service_that_is_not_there_is_said_with_what_to_do(api: FakeApi, lang: str, words: str) -> None:
    api.url = "http://127.0.0.1:9"
    result = run(api, "holds", lang=lang)
    assert (result.code, words in result.err) == (4, True)


def test_without_a_token_the_command_says_where_to_put_one(api: FakeApi) -> None:
    result = run(api, "holds", token=None)
    assert (result.code, "STAFETT_TOKEN" in result.err, api.calls) == (4, True, [])


def test_settings_are_read_from_the_file_that_make_up_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = Settings.model_config["env_file"]
    assert place == ROOT / ".run/env/cli.env"
    file = tmp_path / "cli.env"
    (tmp_path / "token").write_text("t\n")
    file.write_text(f"STAFETT_STATUS_URL=http://status:1\nSTAFETT_TOKEN_FILE={tmp_path}/token\nSTAFETT_OTHER=1\n")
    monkeypatch.setenv("LANG", "sv_SE.UTF-8")
    settings = Settings(_env_file=file)
    assert (settings.status_url, settings.lang) == ("http://status:1", "sv_SE.UTF-8")
    monkeypatch.setenv("STAFETT_STATUS_URL", "http://other:2")
    assert Settings(_env_file=file).status_url == "http://other:2"


def test_every_text_exists_in_both_languages() -> None:
    for table in (CODES, MESSAGES, REMEDIES):
        for key, texts in table.items():
            assert len(texts) == 2, key
            assert all(texts), key


def test_a_line_in_another_encoding_is_rejected_by_its_number_and_spoils_no_other(api: FakeApi, tmp_path: Path) -> None:
    api.routes["POST", "/v1/events"] = verdicts
    file = tmp_path / "latin.jsonl"
    file.write_bytes(b'{"id": "e0"}\n' + '{"id": "\u00e5"}\n'.encode("latin-1") + b'{"id": "e2"}\n')
    result = run(api, "import", str(file), "--json")
    assert (result.code, result.data["verdicts"]) == (1, {"rejected": 1, "accepted": 2})
    (reject,) = result.data["rejects"]
    assert (reject["line"], reject["code"]) == (2, "text.encoding")
    assert "byte 9" in reject["reason"]


def test_a_case_that_is_no_id_is_refused_before_anything_is_asked(api: FakeApi) -> None:
    result = run(api, "case", "../x")
    assert (result.code, api.calls) == (2, [])
    assert "../x is not an id" in result.err


def test_following_somebody_whose_case_has_closed_shows_the_last_one(api: FakeApi) -> None:
    api.answers("GET", f"/v1/cases/{ANNA}", NOT_FOUND)
    api.answers("GET", f"/v1/persons/{ANNA}", (200, {**PERSON, "cases": []}))
    api.answers("GET", "/v1/cases", (200, {"items": [case("done")], "cursor": None}))
    api.answers("GET", f"/v1/cases/{CASE}", (200, case("done")))
    assert run(api, "follow", ANNA).code == 0
    assert next(call.query for call in api.calls if call.path == "/v1/cases") == {"person": ANNA, "limit": "1"}


def test_retention_shows_what_each_service_keeps_and_who_has_stopped_the_purge(api: FakeApi) -> None:
    never = {
        "class": "facts",
        "owner": "organisation",
        "days": 730,
        "oldest": None,
        "lastRun": None,
        "lastRows": None,
        "nextRun": None,
        "running": True,
        "purged": 0,
    }
    once = {
        **never,
        "class": "inbox",
        "owner": "installation",
        "days": 30,
        "oldest": "2026-05-01T02:00:00Z",
        "lastRun": "2026-05-31T02:00:00Z",
        "lastRows": 12,
        "nextRun": "2026-06-01T02:00:00Z",
        "running": False,
    }
    stopped = {"pausedAt": "2026-05-30T08:00:00Z", "pausedBy": "drift", "pauseReason": "audit [2026]"}
    api.answers("GET", "/v1/retention", (200, {"service": "ingestion", "classes": [never, once], **stopped}))
    found = run(api, "retention")
    assert found.code == 0
    lines = [" ".join(line.replace("│", " ").split()) for line in found.out.splitlines()]
    assert "ingestion HR's facts of those who have left 730 - - - running" in lines
    ran = "30 2026-05-01 2026-05-31 02:00:00 12 2026-06-01 02:00:00"
    assert f"ingestion ids of incoming messages (of all) {ran}" in lines
    assert "the purge was paused by drift at 2026-05-30 08:00:00: audit [2026]" in found.err
    assert len(json.loads(run(api, "retention", "--json").out)["services"]) == 3
