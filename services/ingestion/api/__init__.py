"""Routes: events come in at `events`, records are read at `persons`."""
