"""The gates: each judges a candidate against the champion and returns evidence."""

# One module each, with `judge(case) -> Findings`.
GATES = (
    "data",
    "quality",
    "differential",
    "slices",
    "stability",
    "leakage",
    "parity",
    "build",
)
# Tests that write evidence: those of the model, which need one, and those of the code.
MODEL_SUITES = ("base-case", "oddities")
CODE_SUITES = ("unit", "integration", "coverage")  # by `make test`
REQUIRED = ("pipeline", "policy", *MODEL_SUITES, *GATES, *CODE_SUITES)
