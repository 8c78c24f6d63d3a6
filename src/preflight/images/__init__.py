"""Images of the service: built from a Bento, kept by digest, and read back to be compared."""
