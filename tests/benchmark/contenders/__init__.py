"""Other ways to serve the same model, for `make bench-serving` to compare with."""
