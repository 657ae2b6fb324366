"""The service's SQL: `ledger` writes, `reading` answers questions, `versions` keeps what was told."""

import psycopg

REFUSED = (psycopg.DataError, psycopg.errors.NotNullViolation, psycopg.errors.CheckViolation)
"""The database refuses what an item says; another try would not help."""

CONTENDED = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)
"""Two requests met; the whole transaction can be tried again and will see what the other one did."""
