"""Pure: when a case is done, what needs a hand, which words find a person."""
