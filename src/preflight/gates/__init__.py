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
    "deploy",
)
# Those that measure time: one after another, on a machine that does nothing else.
TIMED = ("benchmark", "load", "rehearsal")
# Tests that write evidence: those of the model, which need one, and those of the code.
MODEL_SUITES = ("base-case", "oddities")
CODE_SUITES = ("unit", "integration", "coverage")  # by `make test`
LINT = ("lint",)  # by `make lint`
REQUIRED = ("pipeline", "policy", *MODEL_SUITES, *GATES, *TIMED, *CODE_SUITES, *LINT)
