"""Pure: sessions, what the APIs answer, what it means on a page."""
