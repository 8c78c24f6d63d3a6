"""Rollouts: what both arms did, the judge of it, and the plan beforehand."""
