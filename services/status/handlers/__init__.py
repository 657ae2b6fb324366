"""What each topic does to the projections. Every handler is safe to replay and in any order."""
