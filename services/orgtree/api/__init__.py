"""The organisation over HTTP: the tree on any day, units, what changes when, what is wrong, and plans."""
