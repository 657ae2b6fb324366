"""Where units and their groups stand: the only rooms that know a vendor."""
