"""Pure: which account a person shall have, what it is called, and what has to be done about it."""
