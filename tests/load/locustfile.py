"""The gate's traffic by hand, in locust's own page: `make serve`, and beside it, in the root,

.venv/bin/locust -f tests/load/locustfile.py --host http://127.0.0.1:3000
"""

import os
from itertools import cycle
from pathlib import Path

import locust

from preflight import params, project, table
from preflight.gates.load_test.locustfile import Caller
from preflight.gates.load_test.traffic import day
from preflight.layout import VALID

REQUESTS = 2_000


def requests() -> list[tuple[float, str, str, int]]:
    """Requests of the newest month in the order of the day."""
    known = params.load()
    contract = project.contract(known.project)
    newest = Path(VALID) / f"{max(known.data.months)}.parquet"
    return [*day(table.scan(newest, contract).collect(), contract, REQUESTS, seed=1)]


ASKED = cycle(requests())
KEY = os.environ.get("KEY", "")  # of `preflight keys add`; `make serve` asks for none


class Rider(Caller):
    """Asks twice a second; locust's page says how many riders there are."""

    wait_time = locust.constant_throughput(2)

    @locust.task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        """The next request of the day."""
        self.send(self.host, KEY, next(ASKED))
