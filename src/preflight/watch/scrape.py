"""One look at a running service: whether it is ready, and what it has counted so far."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from urllib.error import URLError

from preflight.watch.probes import ANSWER_SECONDS, DIRECT, probe

Samples = Mapping[str, list[tuple[dict[str, str], float]]]


@dataclass(frozen=True)
class Look:
    """What a service showed: `found` is the status of /readyz, or the error's name.

    `samples` has labels and values by sample, and is empty where /metrics did not answer; `at` is
    in seconds since 1970.
    """

    at: float
    ready: bool
    found: str
    samples: Samples

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's values under labels; 0 where it shows none."""
        return sum(
            value for has, value in self.samples.get(name, []) if labels.items() <= has.items()
        )

    def values(self, name: str) -> list[float]:
        """A metric's values."""
        return [value for _, value in self.samples.get(name, [])]

    @property
    def mode(self) -> str | None:
        """The mode that holds; None where it is not shown."""
        shown = self.samples.get("preflight_mode", [])
        return next((labels["mode"] for labels, value in shown if value == 1), None)

    @property
    def reached(self) -> bool:
        """Whether anything answered."""
        return self.found.isdigit()


def look(address: str) -> Look:
    """Look at a service; raises Problem for what is no address."""
    found = probe(address)
    reached = found.found.isdigit()
    return Look(time.time(), found.ready, found.found, _samples(address) if reached else {})


def _samples(address: str) -> Samples:
    from prometheus_client.parser import text_string_to_metric_families

    try:
        with DIRECT.open(f"{address.rstrip('/')}/metrics", timeout=ANSWER_SECONDS) as answer:
            text = answer.read().decode()
    except (URLError, OSError, HTTPException, UnicodeDecodeError):
        return {}
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    except ValueError:  # no metrics: another program's page
        return {}
    return found
