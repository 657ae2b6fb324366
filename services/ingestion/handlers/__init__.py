"""What each event does: read at the door, accepted into the ledger, announced, and taken up again when due."""
