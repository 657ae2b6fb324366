"""Whole targets are read when it is time, by one reader at a time."""
