"""The closed vocabularies. Reasons, problems and steps are codes; catalogues render them in sv and en."""

from enum import StrEnum


class Lane(StrEnum):
    """Express: dismissal, death, same-day start, commands. Bulk: the rest."""

    EXPRESS = "express"
    BULK = "bulk"


class Form(StrEnum):
    """Form of employment or affiliation (LAS 4-6 §§; elected officials and consultants are not employees)."""

    PERMANENT = "permanent"
    FIXED_TERM = "fixed_term"
    SUBSTITUTE = "substitute"
    SEASONAL = "seasonal"
    PROBATION = "probation"
    SCHOOL_BREAK = "school_break"
    HOURLY = "hourly"
    ELECTED = "elected"
    CONSULTANT = "consultant"
    TRAINEE = "trainee"


class EndReason(StrEnum):
    """Why an employment ends. A dismissal (avsked) closes access when it is stated, not at the end of the day."""

    EXPIRED = "expired"
    RESIGNATION = "resignation"
    NOTICE = "notice"
    DISMISSAL = "dismissal"
    RETIREMENT = "retirement"
    DEATH = "death"
    TRANSFER = "transfer"


class AbsenceKind(StrEnum):
    """Kind of absence; it never leaves ingestion (only full or partial does)."""

    PARENTAL = "parental"
    LEAVE = "leave"
    STUDY = "study"
    SICKNESS = "sickness"
    OTHER = "other"


class AbsenceExtent(StrEnum):
    """How much of the work the absence takes away."""

    FULL = "full"
    PARTIAL = "partial"


class Protection(StrEnum):
    """Protected identity: sekretessmarkering, skyddad folkbokföring (FOL 16 §), fingerade uppgifter."""

    NONE = "none"
    MARKED = "marked"
    PROTECTED = "protected"
    FICTITIOUS = "fictitious"


class IdentifierKind(StrEnum):
    """Dated, replaceable identifiers; never a key."""

    PERSONNUMMER = "personnummer"
    SAMORDNINGSNUMMER = "samordningsnummer"
    INTERIM = "interim"
    HSA_ID = "hsa_id"


class CaseKind(StrEnum):
    """What a case is about."""

    JOINER = "joiner"
    MOVER = "mover"
    LEAVER = "leaver"


class Reason(StrEnum):
    """Why a revision was made."""

    HIRE = "hire"
    REHIRE = "rehire"
    HIRE_CHANGED = "hire_changed"
    HIRE_CANCELLED = "hire_cancelled"
    EMPLOYMENT_ADDED = "employment_added"
    EMPLOYMENT_ENDED = "employment_ended"
    TRANSFER = "transfer"
    FORM_CONVERSION = "form_conversion"
    NAME_CHANGE = "name_change"
    IDENTITY_CHANGE = "identity_change"
    ABSENCE_CHANGED = "absence_changed"
    END_DATE_CHANGED = "end_date_changed"
    END = "end"
    DISMISSAL = "dismissal"
    DEATH = "death"
    PROTECTION_CHANGED = "protection_changed"
    CORRECTION = "correction"
    ACCESS_BLOCKED = "access_blocked"
    ACCESS_RESTORED = "access_restored"
    ACCESS_KEPT = "access_kept"
    MERGED = "merged"
    SPLIT = "split"
    ERASED = "erased"
    DATE_REACHED = "date_reached"


class StepState(StrEnum):
    """Where a step stands. Only `verified` (read back from the target) counts as done.

    `skipped`: a person decided that it shall not be done for this input; it is not mandatory any more.
    """

    PLANNED = "planned"
    WAITING = "waiting"
    RETRYING = "retrying"
    HELD = "held"
    PARKED = "parked"
    SKIPPED = "skipped"
    VERIFIED = "verified"


class FailureClass(StrEnum):
    """DESIGN 2, failure classes; `held` is the guard's."""

    TRANSIENT = "transient"
    THROTTLED = "throttled"
    WAITING = "waiting"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    HELD = "held"


class AccountState(StrEnum):
    """State of an account in a target. Disabled means that a bind is refused."""

    ABSENT = "absent"
    DISABLED = "disabled"
    ENABLED = "enabled"


class UnitKind(StrEnum):
    """What a file does to a unit; of several the first."""

    CREATED = "created"
    CLOSED = "closed"
    MOVED = "moved"
    RENAMED = "renamed"
    MANAGER_CHANGED = "manager_changed"
    CHANGED = "changed"
