"""Near-duplicate photographs: search, alignment, groups, and the audit of a set."""
