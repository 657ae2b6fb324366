"""The way of an account's mail to a function mailbox: a rule in its inbox, which names nobody but that mailbox.

https://learn.microsoft.com/graph/api/mailfolder-post-messagerules. Exchange shows at once what was written.
"""

from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any

from services.accounts.domain.grants import Grant
from services.accounts.domain.plan import Observed
from services.accounts.ports import Stamp
from services.kernel.directory import Graph, NoSuchEntry, Request, identified, malformed
from services.kernel.failures import Permanent, Waiting

_RULES = "/users/{id}/mailFolders/inbox/messageRules"
_NO_MAILBOX = "graph.mailbox_missing"

Rule = Mapping[str, Any]


class EntraMail:
    """Inbox rules of ours, known by their name; those of others, the person's own too, are left as they are."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def held(self, observed: Observed, asked: Set[Grant], deadline: float | None) -> frozenset[Grant]:
        """Return which of the routes asked about stand as we made them; without a mailbox none."""
        try:
            rules = await self._rules(observed, deadline)
        except Permanent as refused:
            if refused.code != _NO_MAILBOX:
                raise
            return frozenset()
        return frozenset(grant for grant in asked if any(_routes(rule, grant) for rule in rules))

    async def grant(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Make the rule; one of ours that somebody has altered gives way to it.

        Raises:
            Waiting: There is no mailbox yet.
        """
        try:
            rules = await self._rules(observed, stamp.deadline)
            if any(_routes(rule, grant) for rule in rules):
                return
            await self._remove(observed, [rule for rule in rules if _named(rule, grant)], stamp)
            request = Request("POST", _RULES, {"id": observed.entry}, body=_rule(grant))
            await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)
        except Permanent as refused:
            if refused.code != _NO_MAILBOX:
                raise
            raise Waiting("account.mailbox_missing", mail_route=grant.value) from refused

    async def revoke(self, observed: Observed, grant: Grant, stamp: Stamp) -> None:
        """Delete the rule; with the mailbox it is gone."""
        try:
            rules = await self._rules(observed, stamp.deadline)
        except Permanent as refused:
            if refused.code != _NO_MAILBOX:
                raise
            return
        await self._remove(observed, [rule for rule in rules if _named(rule, grant)], stamp)

    async def _rules(self, observed: Observed, deadline: float | None) -> list[Rule]:
        request = Request("GET", _RULES, {"id": observed.entry})
        found = [rule async for page in self._graph.pages(request, deadline=deadline) for rule in page]
        if not all(_whole(rule) for rule in found):
            raise malformed()
        return found

    async def _remove(self, observed: Observed, rules: list[Rule], stamp: Stamp) -> None:
        for rule in rules:
            request = Request("DELETE", f"{_RULES}/{{rule}}", {"id": observed.entry, "rule": identified(rule)})
            with suppress(NoSuchEntry):
                await self._graph.write(request, subject=str(stamp.person), deadline=stamp.deadline)


def _rule(grant: Grant) -> dict[str, Any]:
    to = [{"emailAddress": {"address": grant.value}}]
    actions = {"redirectTo": to, "stopProcessingRules": True}
    return {"displayName": _name(grant), "sequence": 1, "isEnabled": True, "actions": actions}


def _name(grant: Grant) -> str:
    return f"Stafett: {grant.value}"


def _named(rule: Rule, grant: Grant) -> bool:
    return str(rule.get("displayName")).casefold() == _name(grant).casefold()


def _routes(rule: Rule, grant: Grant) -> bool:
    """Tell whether it is our rule, in force, and redirects everything to the mailbox and nowhere else."""
    actions = rule.get("actions") or {}
    to = [str((one.get("emailAddress") or {}).get("address")).casefold() for one in actions.get("redirectTo") or ()]
    whole = rule.get("isEnabled") is True and not _some(rule.get("conditions")) and not _some(rule.get("exceptions"))
    return _named(rule, grant) and whole and to == [grant.value.casefold()]


def _whole(rule: Rule) -> bool:
    """Tell whether a rule can be read; what it does besides redirecting is not asked."""
    actions = rule.get("actions") or {}
    to = (actions.get("redirectTo") or []) if isinstance(actions, Mapping) else None
    parts = (rule.get("conditions") or {}, rule.get("exceptions") or {})
    return (
        isinstance(to, list)
        and all(isinstance(one, Mapping) and isinstance(one.get("emailAddress") or {}, Mapping) for one in to)
        and all(isinstance(part, Mapping) for part in parts)
    )


def _some(predicates: Mapping[str, Any] | None) -> bool:
    return any(value not in (None, False, []) for value in (predicates or {}).values())
