"""Where things lie in a checkout, and in a Bento: paths relative to its root."""

from pathlib import Path

STATE = Path(".preflight")
LOG = STATE / "serving/log"
LOOKUP = Path("data/lookup.csv")
RAW = Path("data/raw")
VALID = Path("data/valid")
QUARANTINE = Path("data/quarantine")
VALIDATION = Path("data/validation.json")
SPLIT = Path("data/split")
FITTED = Path("models/fitted")
PACKAGED = Path("models/packaged")
METRICS = Path("models/evaluation/metrics.json")
REFERENCE = Path("models/evaluation/reference.json")
PLOTS = Path("models/evaluation/plots")
REPORTS = Path("reports")
EVIDENCE = REPORTS / "evidence"
COVERAGE = REPORTS / "coverage.json"
