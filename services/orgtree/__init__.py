"""The organisation that is in effect: units, who leads them, and where people are."""
