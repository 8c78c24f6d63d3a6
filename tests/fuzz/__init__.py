"""Generated requests against the front of a service in this process, and what no answer may be."""
