"""The report: evidence as one Markdown comment and as one HTML page."""
