"""Rules, runbooks, dashboards and the example for Alertmanager agree with each other and with the `stafett` command."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_group

from deploy.local.prometheus import OBSERVABILITY
from services.cli.bootstrap import build
from services.cli.settings import Settings
from tests.support import promql
from tests.support.servers import skip_or_fail

RUNBOOKS = OBSERVABILITY / "runbooks"


def tool(name: str, package: str, *arguments: str) -> str:
    if shutil.which(name) is None:
        skip_or_fail(f"{name} is not installed (Debian package: {package})")
    done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def promtool(*arguments: str) -> str:
    return tool("promtool", "prometheus", *arguments)


def amtool(*arguments: str) -> str:
    return tool("amtool", "prometheus-alertmanager", *arguments)


def files(folder: str) -> list[str]:
    return [str(path) for path in sorted((OBSERVABILITY / folder).glob("*.yml"))]


def test_promtool_accepts_configuration_and_rules() -> None:
    promtool("check", "config", str(OBSERVABILITY / "prometheus.yml"))
    promtool("check", "rules", "--lint-fatal", *files("rules"))


def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", *files("rule_tests"))


def test_the_example_for_alertmanager_wakes_somebody_for_what_is_critical_only() -> None:
    example = str(OBSERVABILITY / "alertmanager.yml")
    assert "SUCCESS" in amtool("check-config", example)
    routes = ("config", "routes", "test", f"--config.file={example}", "alertname=StafettX", "service=accounts")
    assert amtool(*routes, "severity=critical").strip() == "on-call"
    assert amtool(*routes, "severity=warning").strip() == "operations"


def test_every_alert_is_tested_and_has_a_runbook_that_it_links() -> None:
    tests = "".join(path.read_text() for path in (OBSERVABILITY / "rule_tests").glob("*.yml"))
    alerts = promql.rules("alert")
    assert len(alerts) >= 20
    for name, body in alerts.items():
        assert re.search(rf"\b{name}\b", tests), name
        assert f"runbook_url: runbooks/{name}.md\n" in body, name
        assert re.search(r"severity: (critical|warning)", body), name
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts)


@pytest.mark.parametrize("runbook", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_says_what_it_means_where_to_look_and_what_to_do(runbook: Path) -> None:
    text = runbook.read_text()
    for heading in ("## What it means\n", "## What to look at\n- ", "## What to do\n1. "):
        assert heading in text
    severity = re.search(r"severity: (\w+)", promql.rules("alert")[runbook.stem])
    assert severity
    assert f"Severity: {severity.group(1)}." in text


def test_dashboards_are_whole() -> None:
    for path in promql.dashboards():
        board = json.loads(path.read_text())
        assert board["uid"].startswith("stafett-")
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            assert panel["type"] == "row" or all(target["expr"] for target in panel["targets"]), panel["title"]


def test_runbooks_name_commands_as_they_are() -> None:
    commands = get_group(build(Settings())).commands
    named = [
        (runbook.stem, call.split())
        for runbook in RUNBOOKS.glob("*.md")
        for call in re.findall(r"`stafett ([^`]+)`", runbook.read_text())
    ]
    assert {"holds", "release", "refuse", "retry", "replay", "redeliver", "dead", "explain"} <= {c[0] for _, c in named}
    for where, (name, *words) in named:
        command = commands[name]
        if isinstance(command, TyperGroup):
            command = command.commands[words[0]]
        options = {option: one for one in command.params for option in one.opts if option.startswith("--")}
        given = {word for word in words if word.startswith("--")}
        assert given <= options.keys(), (where, name)
        required = {option for option, one in options.items() if one.required}
        assert required <= given, (where, name)
