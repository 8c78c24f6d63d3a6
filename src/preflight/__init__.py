"""Preflight: the machinery that takes a project's model to production through Git."""
