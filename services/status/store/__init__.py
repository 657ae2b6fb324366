"""All SQL of status: `projection` and `judging` write, the others read."""
