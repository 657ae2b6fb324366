"""Retention: what is kept of each data class and for how long, the daily purge with its log, and who may ask."""
