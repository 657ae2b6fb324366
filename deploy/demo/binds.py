"""One who starts on Tuesday and one whose last day is Monday, at the directory's own door."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.demo import dates
from deploy.demo.generator import Kind, Told
from deploy.demo.house import House
from deploy.demo.screen import Screen


@dataclass(frozen=True)
class Outcome:
    """What a bind should have come to, and whether it did."""

    told: str
    holds: bool


class Binds:
    """Tries the logins of a joiner and a leaver with `ldapwhoami`."""

    def __init__(self, house: House, screen: Screen) -> None:
        self._house = house
        self._screen = screen
        two = house.acts[1]
        today, tomorrow = dates.days(0).isoformat(), dates.days(1).isoformat()
        self.joiner = next(one for one in two if one.kind is Kind.HIRE and employment(one)["validFrom"] == tomorrow)
        self.leaver = next(one for one in two if one.kind is Kind.EXIT and employment(one)["validTo"] == today)

    def before(self) -> list[Outcome]:
        """On Monday: give both a password, as the directory's administrator, and try; the joiner must not get in."""
        for told in (self.joiner, self.leaver):
            entry = self._entry(told)
            if entry is not None:
                self._screen.show(self._house.directories[told.organisation].set_password(entry))
        return [self._try(self.joiner, "Monday", accepted=False), self._try(self.leaver, "Monday", accepted=True)]

    def after(self) -> list[Outcome]:
        """On Tuesday or later: try again; the leaver must not get in."""
        return [self._try(self.joiner, "Tuesday", accepted=True), self._try(self.leaver, "Tuesday", accepted=False)]

    def _try(self, told: Told, day: str, *, accepted: bool) -> Outcome:
        role = "joiner who starts on Tuesday" if told is self.joiner else "leaver whose last day is Monday"
        said = f"{day}: the {role} is {'let in' if accepted else 'refused'}"
        entry = self._entry(told)
        if entry is None:
            return Outcome(f"{said}: there is no entry", holds=False)
        ran = self._house.directories[told.organisation].bind(entry)
        self._screen.say(f"  {said}:")
        self._screen.show(ran)
        return Outcome(said, holds=(ran.code == 0) is accepted)

    def _entry(self, told: Told) -> str | None:
        number = self._house.employee_number(told.event["data"]["externalId"])
        return self._house.directories[told.organisation].entry(number)


def employment(told: Told) -> Mapping[str, Any]:
    """Return the first employment that an event speaks of."""
    found: Mapping[str, Any] = told.event["data"]["employments"][0]
    return found
