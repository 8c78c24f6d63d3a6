"""The delivery of a release: from a commit's evidence to its records in Git."""
