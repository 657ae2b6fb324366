"""What each event type does, and the passes."""
