"""HR's door and the ledger of HR facts."""
