"""What the delivered rules and dashboards say: their expressions, and the metrics these name."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.local.prometheus import OBSERVABILITY

_QUOTED = re.compile(r"\"[^\"]*\"")
_NAME = re.compile(r"(?<![\w:])(?:stafett_|process_|python_|[a-z]+:stafett_)[\w:]*")
_RULE = re.compile(r"^\s+- (alert|record): (\S+)\n((?:\s{8,}.*\n?)*)", re.MULTILINE)
_EXPRESSION = re.compile(r"expr: (?:>-\n)?((?:.*\n?)+?)(?=\s*(?:for|labels|annotations):|\Z)")


def rules(kind: str) -> dict[str, str]:
    """Return alerts or records by name, each with the text of its rule."""
    text = "".join(path.read_text() for path in sorted((OBSERVABILITY / "rules").glob("*.yml")))
    return {name: body for what, name, body in _RULE.findall(text) if what == kind}


def expressions() -> Iterator[tuple[str, str]]:
    """Yield every expression of the rules and dashboards, with where it stands."""
    for kind in ("alert", "record"):
        for name, body in rules(kind).items():
            found = _EXPRESSION.search(body)
            assert found, body
            yield name, " ".join(found.group(1).split())
    for path in dashboards():
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield f"{path.stem}: {panel['title']}", target["expr"].replace("$service", ".*")


def dashboards() -> list[Path]:
    """Return the delivered dashboards."""
    return sorted((OBSERVABILITY / "grafana").glob("*.json"))


def metrics(expression: str) -> set[str]:
    """Return the names of metrics in an expression."""
    return set(_NAME.findall(_QUOTED.sub('""', expression)))
