"""The data contract before and after a change: what it admits that it did not."""

from collections.abc import Iterator
from typing import Any

from preflight.policy.loosening import Loosening, loosening

Plain = dict[str, Any]  # of Contract.as_dict
WIDENED = "contract widened"


def widened(contracts: tuple[Plain, Plain] | None) -> Iterator[Loosening]:
    """What the head's contract admits and the base's does not; without a base's, nothing.

    Times are compared as the ISO text that Contract.as_dict makes of them. Every change of the
    identity counts: with fewer columns more rows are taken for copies, with more columns fewer.
    """
    if contracts is None:
        return
    was, now = contracts
    old, new = ({each["name"]: each for each in side["columns"]} for side in contracts)
    for name, column in old.items():
        if name in new:
            yield from _column(name, column, new[name])
        else:
            yield loosening("column removed", name, _use(column), "absent")
    for key in ("identity", "slices"):
        lost = [each for each in was[key] if each not in now[key]]
        added = [each for each in now[key] if each not in was[key]]
        if lost or (added and key == "identity"):
            yield _differs(key, ", ".join(was[key]), ", ".join(now[key]) or "none")
    if was["target_bins"] != now["target_bins"]:
        yield _differs("target_bins", was["target_bins"], now["target_bins"])


def _use(column: Plain) -> str:
    return "known to a caller" if column["known"] else "present"


def _column(name: str, was: Plain, now: Plain) -> Iterator[Loosening]:
    for key in ("kind", "role"):
        if was[key] != now[key]:
            yield _differs(f"{name}.{key}", was[key], now[key])
    for key in ("minimum", "maximum"):
        if _is_wider(key, was[key], now[key]):
            yield _differs(f"{name}.{key}", was[key], now[key])
    if was["allowed"] is not None:
        added = [each for each in now["allowed"] or () if each not in was["allowed"]]
        if added or now["allowed"] is None:
            yield _differs(f"{name}.allowed", was["allowed"], now["allowed"])
    for key in ("nullable", "known"):
        if now[key] and not was[key]:
            yield _differs(f"{name}.{key}", was[key], now[key])
    if was["sensitive"] and not now["sensitive"]:
        yield _differs(f"{name}.sensitive", was["sensitive"], now["sensitive"])


def _is_wider(key: str, was: Any, now: Any) -> bool:
    if was is None or was == now:
        return False
    if now is None or isinstance(was, str) != isinstance(now, str):
        return True
    return bool(now < was if key == "minimum" else now > was)


def _differs(subject: str, was: object, now: object) -> Loosening:
    return loosening(WIDENED, subject, was, now)
