"""Watching a service from outside."""
