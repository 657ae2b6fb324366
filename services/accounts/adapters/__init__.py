"""Where accounts live: the only rooms that know a vendor."""
