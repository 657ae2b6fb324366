"""Pure: the tree of a day, who leads what, and where somebody is."""
