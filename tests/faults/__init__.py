"""The fault catalogue: planted faults that a gate must catch, honest changes that none may stop."""
