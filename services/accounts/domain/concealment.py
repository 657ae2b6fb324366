"""Of what is read in a target, what tells of somebody protected although nothing says that it is theirs (DOMAIN 40)."""

from collections.abc import Iterable
from dataclasses import dataclass

from contracts.person import CoreRecord
from services.accounts.domain.plan import Observed


@dataclass(frozen=True)
class Telling:
    """What protected people are known by, in lower case: employee numbers, logins and addresses, names."""

    numbers: frozenset[str] = frozenset()
    logins: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, records: Iterable[CoreRecord], logins: Iterable[str]) -> "Telling":
        """Gather it; `logins` are all logins and addresses that are, or were, theirs."""
        found = tuple(records)
        numbers = (one.employee_number for record in found for one in record.employments)
        return cls(
            frozenset(number.casefold() for number in numbers if number),
            frozenset(login.casefold() for login in logins),
            frozenset(record.name.display.casefold() for record in found if record.name.display),
        )

    def has(self, observed: Observed) -> bool:
        """Tell whether an account has anything of it."""

        def folded(*names: str) -> set[str]:
            return {value.casefold() for name in names for value in observed.attributes.get(name, ())}

        return bool(
            self.numbers & folded("employeeNumber")
            or self.logins & {observed.user_name.casefold(), *folded("mail")}
            or self.names & folded("displayName", "cn")
        )
