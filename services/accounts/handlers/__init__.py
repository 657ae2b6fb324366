"""What each event type and each piece of work does."""
