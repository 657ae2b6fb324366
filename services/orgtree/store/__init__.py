"""The SQL of orgtree."""
