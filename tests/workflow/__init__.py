"""Runs a workflow's jobs on this machine, as its YAML states them, and checks its rules."""
