"""What happens during a rehearsal, kept and told at once."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from preflight.rehearsal.record import Event, Look, MetricSeen

Tell = Callable[[Event | Look], None]
NO_ANSWER = "no answer"
REASON = 400  # characters that are kept


class Told:
    """Events and looks so far; `at` counts seconds since the first step."""

    def __init__(self, tell: Tell) -> None:
        """The clock stands at 0 until `begin`."""
        self._tell, self._start = tell, 0.0
        self.events: list[Event] = []
        self.looks: list[Look] = []

    def begin(self) -> None:
        """The first step is taken now."""
        self._start = time.monotonic()

    @property
    def at(self) -> float:
        """Seconds since the first step, 0 before it."""
        return round(time.monotonic() - self._start, 2) if self._start else 0.0

    def event(self, kind: Literal["weight", "shadow", "fault", "end"], said: str) -> None:
        """Something happened."""
        self.events.append(Event(at=self.at, kind=kind, said=said[:REASON]))
        self._tell(self.events[-1])

    def answer(self, weight: int, found: Mapping[str, Any]) -> None:
        """The judge answered, as JSON has it."""
        stable, canary = found["requests"]
        self._look(
            Look(
                at=self.at,
                weight=weight,
                result=found["result"],
                reason=str(found["reason"])[:REASON],
                requests=(int(stable), int(canary)),
                metrics=tuple(
                    MetricSeen(**{name: each[name] for name in MetricSeen.model_fields})
                    for each in found["metrics"]
                ),
            )
        )

    def silence(self, weight: int, reason: str) -> None:
        """The judge did not answer."""
        self._look(Look(at=self.at, weight=weight, result=NO_ANSWER, reason=reason[:REASON]))

    def _look(self, found: Look) -> None:
        self.looks.append(found)
        self._tell(found)
