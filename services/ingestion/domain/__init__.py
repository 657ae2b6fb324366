"""Pure: facts fold into a state, the state is projected to a record, two records make a classification."""
