"""What a change does to the guards themselves: limits, gates, tests, seeds, workflows, contract."""
