"""What opens and closes an account in Active Directory: one bit is ours, its lockout is others'."""

from dataclasses import dataclass

from services.accounts.adapters.windows_names import random_password, unicode_password
from services.kernel.directory import Entry, Modification, Operation

DISABLED = 0x2
LOCKED_OUT = 0x10
PASSWORD_NOT_REQUIRED = 0x20
NORMAL = 0x200
_BITS = "userAccountControl"
_COMPUTED = "msDS-User-Account-Control-Computed"
"""Whether the account is locked out now: `lockoutTime` still stands when the time for it is over."""
READ = (_BITS, _COMPUTED, "pwdLastSet")
NEVER = "0"
"""No lockout; in pwdLastSet: never had a password, or has to change it at the next login."""


@dataclass(frozen=True)
class Control:
    """An account's state. `bits`: None when they may not be read."""

    bits: int | None = NORMAL
    locked_out: bool = False
    password_set: str = NEVER

    @classmethod
    def of(cls, entry: Entry) -> "Control":
        """Read it."""
        bits, computed = entry.first(_BITS), int(entry.first(_COMPUTED) or 0)
        return cls(None if bits is None else int(bits), bool(computed & LOCKED_OUT), password_set(entry))

    @property
    def enabled(self) -> bool | None:
        """Whether the account is open; None: closed, but not by our bit."""
        if self.bits is None:
            return None
        if self.bits & DISABLED:
            return False
        return None if self.locked_out else True

    def switched(self, *, enabled: bool) -> list[Modification]:
        """Return what opens or closes the account. One that may be without a password, and is, gets a random one first.

        What is locked out is opened by ending that too. When the account expires is an attribute of its own.
        `userAccountControl` is replaced: on Windows the account manager owns it and takes no delete + add.
        """
        before = NORMAL if self.bits is None else self.bits
        bits = before & ~DISABLED if enabled else before | DISABLED
        changes = [Modification(Operation.REPLACE, _BITS, (str(bits),))]
        if not enabled:
            return changes
        if self.locked_out:
            changes.append(Modification(Operation.REPLACE, "lockoutTime", (NEVER,)))
        if bits & PASSWORD_NOT_REQUIRED and self.password_set == NEVER:
            changes.append(Modification(Operation.REPLACE, "unicodePwd", (unicode_password(random_password()),)))
        return changes


def password_set(entry: Entry) -> str:
    """Return when the password was set, as the domain says it."""
    return entry.first("pwdLastSet") or NEVER
