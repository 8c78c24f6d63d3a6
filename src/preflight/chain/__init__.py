"""The chain of a release, link by link: walked by `verify`, told by `trace` and `audit`."""
