"""The guards of a packaged model: their limits, and the share of honest rows that they flag."""

from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import params
from preflight.errors import Problem
from preflight.files import read_json, write_json

FILE = "guards.json"
Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Guards:
    """Limits of the guards; an infinite one flags nothing.

    Values that training did not see are flagged, or refused where their feature is in `refuse`.
    `max_width` is in the target's unit.
    """

    refuse: tuple[str, ...]
    joint_limit: float
    max_width: float

    @classmethod
    def of(cls, chosen: params.Guards, scores: Scores) -> "Guards":
        """From the parameters and the joint scores of calibration rows, shape (rows,)."""
        return cls(chosen.refuse, joint_limit(scores, chosen.joint_flags), chosen.max_width)

    def save(self, folder: Path, rows: int, measured: dict[str, float]) -> None:
        """Write guards.json: the limits, and the share of calibration rows that each flags."""
        joint: dict[str, Any] = {"limit": self.joint_limit}
        if self.joint_limit == inf:
            joint = {"limit": None, "reason": f"{rows} calibration rows are too few for one"}
        limits = {
            "unseen": {"refuse": list(self.refuse)},
            "joint": joint,
            "wide": {"limit": self.max_width},
        }
        calibration = {"rows": rows, **measured}
        write_json(folder / FILE, {"limits": limits, "calibration": calibration})

    @classmethod
    def load(cls, folder: Path) -> "Guards":
        """The guards that `save` wrote; raises Problem where there are none."""
        if not (folder / FILE).is_file():
            raise Problem(
                str(folder / FILE),
                "no guards",
                "a model packaged with its guards",
                "Run `make repro`.",
            )
        limits = read_json(folder / FILE)["limits"]
        joint = limits["joint"]["limit"]
        refuse = tuple(limits["unseen"]["refuse"])
        return cls(refuse, inf if joint is None else joint, limits["wide"]["limit"])


def flagged(outside: Flags, odd: Flags, wide: Flags) -> dict[str, float]:
    """Share of rows that each guard flags; `outside` has shape (rows, features)."""
    return {
        "unseen": float(outside.any(axis=1).mean()),
        "joint": float(odd.mean()),
        "wide": float(wide.mean()),
    }


def joint_limit(scores: Scores, share: float) -> float:
    """The score that at most `share` of further honest rows exceed; infinite with too few rows.

    Source: Vovk, Gammerman, Shafer (2005), section 4.2: the rank of a conformal quantile.
    """
    rank = ceil(round((len(scores) + 1) * (1 - share), 9))
    if rank > len(scores):
        return inf
    return float(np.partition(scores, rank - 1)[rank - 1])
