"""Stage: rows that break a rule go to quarantine; a table that breaks one stops the pipeline."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight import project as seam
from preflight import table
from preflight.contract import Contract
from preflight.errors import Problem
from preflight.files import write_json
from preflight.layout import QUARANTINE, RAW, VALID, VALIDATION
from preflight.params import Params
from preflight.params import Validate as Limits
from preflight.stages import log

DUPLICATE, OUTSIDE = "duplicate", "outside_month"


@dataclass(frozen=True)
class Checked:
    """One month's counts: rows, rows by the first rule they broke, labels by target bin."""

    month: str
    rows: int
    quarantined: dict[str, int]
    outside: int
    labels: tuple[int, ...]

    @property
    def valid(self) -> int:
        """Rows that broke no rule."""
        return self.rows - sum(self.quarantined.values())


def validate(params: Params) -> None:
    """data/raw -> data/valid, data/quarantine, data/validation.json."""
    table.refuse_others(RAW, params.data.months)
    contract = seam.contract(params.project)
    summary: dict[str, Any] = {}
    before: Checked | None = None
    for month in sorted(params.data.months):
        rules = seam.data(params.project).row_rules(month) | table.row_rules(contract)
        checked = check_month(month, contract, rules, params.validate_.row_rules)
        check_table(checked, before, params.validate_)
        summary[month] = {
            "rows": checked.rows,
            "valid": checked.valid,
            "quarantined": checked.quarantined,
        }
        log.info("validate %s: %d rows, %d valid", month, checked.rows, checked.valid)
        before = checked
    write_json(VALIDATION, summary)


def check_month(
    month: str, contract: Contract, rules: dict[str, pl.Expr], chosen: tuple[str, ...] | None
) -> Checked:
    """Divide one month into valid and quarantined rows, and count them."""
    names = (*rules, DUPLICATE)
    if unknown := sorted(set(chosen or ()) - set(names)):
        raise Problem(
            "params.yaml: validate.row_rules",
            unknown[0],
            f"null, or some of {', '.join(names)}",
            "Mend the name.",
        )
    raw = table.scan(RAW / f"{month}.parquet", contract)
    wanted = [name for name in rules if chosen is None or name in chosen]
    none = pl.lit(None, pl.String)
    first = pl.coalesce(none, *(pl.when(rules[name]).then(pl.lit(name)) for name in wanted))
    copies = _copies(raw, contract, first) if chosen is None or DUPLICATE in chosen else []
    ruled = (
        raw.with_columns(first.alias("rule"))
        .with_row_index("row")
        .with_columns(
            pl.when(pl.col("row").is_in(copies) & pl.col("rule").is_null())
            .then(pl.lit(DUPLICATE))
            .otherwise(pl.col("rule"))
            .alias("rule")
        )
        .drop("row")
    )
    valid = ruled.filter(pl.col("rule").is_null()).drop("rule")
    table.write_parquet(valid, VALID / f"{month}.parquet")
    table.write_parquet(ruled.filter(pl.col("rule").is_not_null()), QUARANTINE / f"{month}.parquet")
    return _counted(month, contract, raw, rules)


def _copies(raw: pl.LazyFrame, contract: Contract, rule: pl.Expr) -> list[int]:
    """Numbers of the rows that repeat an earlier valid row's identity.

    By sorted 64-bit hashes: those of ten million rows take 80 MB, where a distinct over rows
    takes gigabytes; the chance that two different rows meet is under one in 300,000.
    """
    found = raw.select(
        pl.struct(contract.identity).hash().alias("key"), rule.is_null().alias("kept")
    ).collect(engine="streaming")
    kept = np.flatnonzero(found["kept"].to_numpy())
    keys: NDArray[np.uint64] = found["key"].to_numpy()[kept]
    ordered = np.sort(keys)
    repeated = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    rows = kept[np.isin(keys, repeated)]
    _, firsts = np.unique(found["key"].to_numpy()[rows], return_index=True)
    return np.delete(rows, firsts).tolist()


def _counted(
    month: str, contract: Contract, raw: pl.LazyFrame, rules: dict[str, pl.Expr]
) -> Checked:
    rows, outside = (
        raw.select(pl.len(), rules.get(OUTSIDE, pl.lit(value=False)).sum().alias("outside"))
        .collect(engine="streaming")
        .row(0)
    )
    broken = (
        pl.scan_parquet(QUARANTINE / f"{month}.parquet")
        .group_by("rule")
        .len()
        .sort("rule")
        .collect(engine="streaming")
    )
    target = contract.target.name
    label = pl.scan_parquet(VALID / f"{month}.parquet").select(target).collect()[target].to_numpy()
    bins = np.searchsorted(contract.target_bins, label)
    return Checked(
        month,
        rows,
        dict(broken.iter_rows()),
        outside,
        tuple(np.bincount(bins, minlength=len(contract.target_bins) + 1).tolist()),
    )


def check_table(now: Checked, before: Checked | None, limits: Limits) -> None:
    """The table rules; raises Problem with the name of the first that is broken."""

    def refuse(rule: str, found: str, expected: str) -> None:
        raise Problem(
            f"{RAW / now.month}.parquet: table rule {rule}",
            found,
            expected,
            f"See {QUARANTINE / now.month}.parquet and {VALID / now.month}.parquet; "
            "mend the source, or take the month out of data.months.",
        )

    if now.rows < limits.min_rows:
        found = "an empty month" if not now.rows else f"{now.rows} rows"
        refuse("volume", found, f"at least {limits.min_rows} rows (validate.min_rows)")
    if now.outside > limits.max_outside_month * now.rows:
        share = now.outside / now.rows
        refuse(
            "month",
            f"{share:.1%} of the rows in another month",
            f"at most {limits.max_outside_month:.1%} (validate.max_outside_month)",
        )
    if now.rows - now.valid > limits.max_quarantined * now.rows:
        worst = sorted(now.quarantined.items(), key=lambda item: -item[1])[:3]
        named = ", ".join(f"{name} {count}" for name, count in worst)
        refuse(
            "quarantined",
            f"{1 - now.valid / now.rows:.1%} of the rows ({named})",
            f"at most {limits.max_quarantined:.1%} (validate.max_quarantined)",
        )
    if not now.valid:
        refuse("quarantined", "no valid row at all", "some")
    copies = now.quarantined.get(DUPLICATE, 0)
    if copies > limits.max_duplicates * now.rows:
        refuse(
            "duplicates",
            f"{copies / now.rows:.1%} of the rows",
            f"at most {limits.max_duplicates:.1%} (validate.max_duplicates)",
        )
    if max(now.labels) > limits.max_label_bin * now.valid:
        refuse(
            "label balance",
            f"{max(now.labels) / now.valid:.1%} of the labels in one bin",
            f"at most {limits.max_label_bin:.1%} (validate.max_label_bin)",
        )
    if before is not None:
        ratio = now.rows / before.rows
        most = limits.max_volume_ratio
        if not 1 / most <= ratio <= most:
            refuse(
                "volume against the month before",
                f"{ratio:.2f} times the {before.rows} rows of {before.month}",
                f"{1 / most:.2f} to {most:.2f} (validate.max_volume_ratio)",
            )
