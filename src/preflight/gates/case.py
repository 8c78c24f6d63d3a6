"""The case that gates judge: candidate, champion, the rows they are compared on, the limits."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from numpy.typing import NDArray

from preflight import params, reference, table
from preflight.champion import Champion
from preflight.contract import Contract
from preflight.errors import NoData, Problem
from preflight.evidence import Evidence, told
from preflight.files import replacing, sha256
from preflight.gates.limits import Gates
from preflight.gates.side import Arrays, Side
from preflight.gates.slicing import Slices, dimensions
from preflight.layout import LOOKUP, SPLIT, VALID
from preflight.metrics import Scored
from preflight.workspace import run

MOST_ROWS = 150_000
REFERENCE_ROWS = 2_000
# What a stage, the service and their tools run, or are set by, beside what bentofile.yaml includes.
RUNS = ("src", "requirements", "params.yaml", "dvc.yaml", "bentofile.yaml", "pyproject.toml")


@dataclass(frozen=True)
class Refits:
    """The champion's recipe, fitted anew on the candidate's training rows under other seeds.

    `held_out` and `reference` have shape (refits, rows).
    """

    held_out: NDArray[np.float64]
    reference: NDArray[np.float64]


class Case:
    """Everything a gate may ask for, made when first asked."""

    def __init__(
        self,
        root: Path,
        commit: str,
        champion: Champion,
        limits: Gates,
        candidate: Side,
        rival: Side | None,
        cache: Path,
    ) -> None:
        """`root` is the candidate's checkout; `rival` answers for the champion, if it has one.

        `cache` keeps refits by the hashes of all that goes into them.
        """
        self.root, self.commit, self.champion = root, commit, champion
        self.limits, self.candidate, self.rival, self.cache = limits, candidate, rival, cache

    @cached_property
    def params(self) -> dict[str, Any]:
        """The candidate's params.yaml as plain data."""
        return params.read(self.root / "params.yaml")

    @cached_property
    def contract(self) -> Contract:
        """The candidate's contract."""
        return self.candidate.contract

    @property
    def unchanged(self) -> bool:
        """Whether candidate and champion are the same model, byte by byte."""
        return self.rival is not None and self.rival.model_hash == self.candidate.model_hash

    @cached_property
    def runs_alike(self) -> bool:
        """Whether all that runs is the champion's: model, code, parameters and locks, by bytes."""
        if self.champion.commit is None or not self.unchanged:
            return False
        file = yaml.safe_load((self.root / "bentofile.yaml").read_text(encoding="utf-8"))
        included = [each.lstrip("/") for each in file["include"]]
        commits = self.champion.commit, self.commit
        compared = ("git", "diff", "--quiet", *commits, "--", *RUNS, *included)
        return run(self.root, *compared, check=False).returncode == 0

    def alike(self, gate: str) -> Evidence:
        """The one check of a gate that has nothing to time, as what runs is the champion's."""
        claim = "What runs is the champion's, byte by byte: model, code, parameters and locks."
        return told(gate, "unchanged", claim, True, f"as in {str(self.champion.commit)[:12]}")

    @cached_property
    def changed(self) -> str:
        """In words, how features and parameters differ from the champion's."""
        if self.champion.root is None or self.rival is None:
            return ""
        before, now = (set(side.described["features"]) for side in (self.rival, self.candidate))
        words = [f"without feature {name}" for name in sorted(before - now)]
        words += [f"with feature {name}" for name in sorted(now - before)]
        old, new = (
            params.flat(raw.get("model", {}))
            for raw in (params.read(self.champion.root / "params.yaml"), self.params)
        )
        for key in sorted(old | new):
            if old.get(key) != new.get(key) and not isinstance(new.get(key), list):
                words.append(f"model.{key} {old.get(key)} -> {new.get(key)}")
        return ", ".join(words[:6])

    def part(self, name: str) -> pl.DataFrame:
        """One part of the candidate's split: train, calibrate or test."""
        return table.scan(self.root / SPLIT / f"{name}.parquet", self.contract).collect()

    @cached_property
    def train(self) -> pl.DataFrame:
        """The rows that the candidate was fitted on."""
        return self.part("train")

    @cached_property
    def newest(self) -> pl.DataFrame:
        """All valid rows of the newest month."""
        month = max(self.params["data"]["months"])
        return table.scan(self.root / VALID / f"{month}.parquet", self.contract).collect()

    @cached_property
    def held_out(self) -> pl.DataFrame:
        """Valid rows of the test months on which neither side was fitted or calibrated.

        They are found here from the valid rows, not taken from what the split stage says.
        Raises NoData when too few are left.
        """
        fitted = pl.Series(np.isin(keys(self.tested, self.contract), self._fitted_keys()))
        rows = self.tested.filter(~fitted) if fitted.any() else self.tested
        least = self.limits.quality.min_rows
        if len(rows) < least:
            raise NoData(
                "the held-out rows",
                f"{len(rows)} of {', '.join(self.test_months)} on which neither side was fitted",
                f"at least {least} (gates.quality.min_rows)",
                "Add a month, or test on months that neither side was trained on.",
            )
        if len(rows) <= MOST_ROWS:
            return rows
        return rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]

    @cached_property
    def test_months(self) -> list[str]:
        """The newest months, which no stage may train on."""
        return sorted(self.params["data"]["months"])[-self.params["split"]["test_months"] :]

    @cached_property
    def tested(self) -> pl.DataFrame:
        """All valid rows of the test months."""
        places = (self.root / VALID / f"{month}.parquet" for month in self.test_months)
        return pl.concat([table.scan(place, self.contract) for place in places]).collect()

    @cached_property
    def scored_tested(self) -> Scored:
        """The candidate's answers to all rows of the test months."""
        if self.held_out is self.tested:
            return self.scored
        return self._scored(self.candidate.predict(self.tested), self.tested)

    def _fitted_keys(self) -> NDArray[np.uint64]:
        fitted = [self.train, self.part("calibrate")]
        if self.champion.root is not None:
            places = (
                self.champion.root / SPLIT / f"{name}.parquet" for name in ("train", "calibrate")
            )
            fitted += [pl.read_parquet(place) for place in places]
        return np.unique(np.concatenate([keys(rows, self.contract) for rows in fitted]))

    @cached_property
    def columns(self) -> Arrays:
        """The held-out rows' columns."""
        return table.arrays(self.held_out)

    @cached_property
    def answers(self) -> Arrays:
        """The candidate's answers to the held-out rows."""
        return self.candidate.predict(self.held_out)

    @cached_property
    def rival_answers(self) -> Arrays:
        """The champion's answers; the baseline's where there is no champion."""
        if self.rival is not None:
            return self.rival.predict(self.held_out)
        none = np.empty(0)
        return self.answers | {"value": self.answers["baseline"], "lower": none, "upper": none}

    @cached_property
    def scored(self) -> Scored:
        """The candidate's answers beside what really happened."""
        return self._scored(self.answers, self.held_out)

    @cached_property
    def rival_scored(self) -> Scored:
        """The champion's answers beside what really happened."""
        return self._scored(self.rival_answers, self.held_out)

    def _scored(self, answers: Arrays, rows: pl.DataFrame) -> Scored:
        target = rows[self.contract.target.name].to_numpy()
        ends = (answers[end] if len(answers[end]) else None for end in ("lower", "upper"))
        return Scored(target, answers["value"], answers["baseline"], *ends)

    @cached_property
    def labels(self) -> dict[str, NDArray[np.str_]]:
        """The contract's slices of the held-out rows."""
        return self.candidate.slices(self.held_out)

    def slices(self, least: int) -> Slices:
        """Slices of the held-out rows with at least `least` rows."""
        return Slices(dimensions(self.contract, self.columns, self.labels), least)

    @cached_property
    def reference(self) -> pl.DataFrame:
        """Requests made from the contract alone, the same for every candidate."""
        return pl.DataFrame(reference.columns(self.contract, REFERENCE_ROWS))

    @cached_property
    def same_training(self) -> bool:
        """Whether both sides were fitted on the same rows and lookup, byte by byte."""
        if self.champion.root is None:
            return False
        places = (SPLIT / "train.parquet", LOOKUP)
        return all(sha256(self.root / each) == sha256(self.champion.root / each) for each in places)

    @cached_property
    def refits(self) -> Refits:
        """The noise of training again; raises Problem when the champion cannot be fitted."""
        if self.rival is None:
            raise NoData("the champion", "no recipe", "one", "There is no earlier model.")
        paths = [self.rival.write(self.held_out), self.rival.write(self.reference)]
        seeds = [None, *range(1_001, 1_000 + self.limits.differential.min_refits)]
        train, lookup = self.root / SPLIT / "train.parquet", self.root / LOOKUP
        inputs = [sha256(place) for place in (train, lookup, *map(Path, paths))]
        kept = self.cache / f"{_named(self.champion.commit, *inputs, *seeds)}.npz"
        if not kept.is_file():
            found = [self.rival.refit(train, lookup, seed, paths)[0] for seed in seeds]
            held_out, reference = (np.array(values) for values in zip(*found, strict=True))
            with replacing(kept) as partial, partial.open("wb") as file:
                np.savez(file, held_out=held_out, reference=reference)
        with np.load(kept, allow_pickle=False) as arrays:
            return Refits(arrays["held_out"], arrays["reference"])


def _named(*words: object) -> str:
    return hashlib.sha256(repr(words).encode()).hexdigest()[:32]


def keys(rows: pl.DataFrame, contract: Contract) -> NDArray[np.uint64]:
    """A 64-bit hash of each row's identity, shape (rows,)."""
    missing = set(contract.identity) - set(rows.columns)
    if missing:
        raise Problem(
            "the champion's rows", f"no column {sorted(missing)[0]}", "the identity", "Keep it."
        )
    return rows.select(pl.struct(contract.identity).hash().alias("key"))["key"].to_numpy()
