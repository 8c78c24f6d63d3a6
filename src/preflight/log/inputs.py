"""Logged inputs as columns again, without those that the log holds as hashes."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from preflight.contract import Contract
from preflight.errors import Problem
from preflight.project import Columns
from preflight.serving.requests import Decoder, Invalid


class Inputs:
    """Turns logged inputs into columns, without those that the log holds as hashes."""

    def __init__(self, contract: Contract, hidden: Iterable[str] = ()) -> None:
        """`hidden` names columns that are hashes though this contract does not say so."""
        known = [column.name for column in contract.known]
        self._hidden = hashed(contract) | (set(hidden) & set(known))
        if self._hidden == set(known):
            raise _needed(known[0])
        kept = (column for column in contract.columns if column.name not in self._hidden)
        self._decoder = Decoder(replace(contract, columns=tuple(kept)), 1)

    def columns(self, inputs: Sequence[str]) -> tuple[Columns | None, dict[int, Invalid]]:
        """JSON texts -> arrays of those that keep the contract, and the others by position."""
        texts = map(self._shown, inputs) if self._hidden else inputs
        return self._decoder.lines([text.encode() for text in texts])

    def of(self, records: Sequence[Mapping[str, Any]]) -> Columns:
        """The inputs of records as columns; raises Problem that names the first damaged one."""
        columns, refused = self.columns([_text(record["input"]) for record in records])
        for place, invalid in refused.items():
            raise Problem(
                f"the input of prediction {records[place]['id']}",
                f"{invalid.field}: {invalid.found}",
                invalid.expected,
                "The record is damaged, or was not made under the contract that it names.",
            )
        assert columns is not None  # noqa: S101
        return columns

    def _shown(self, text: str) -> str:
        row = json.loads(text)
        return json.dumps({name: row[name] for name in row if name not in self._hidden})

    @contextmanager
    def needed(self) -> Iterator[None]:
        """Raise a Problem that names the hidden column which the code inside asks for."""
        try:
            yield
        except KeyError as error:
            if error.args[0] in self._hidden:
                raise _needed(error.args[0]) from None
            raise
        except Problem as problem:  # a model in a process of its own says it so
            for name in self._hidden:
                if problem.found.startswith(f"KeyError: {name!r}"):
                    raise _needed(name) from None
            raise


def hashed(contract: Contract) -> set[str]:
    """The columns of a request that the log holds as keyed hashes."""
    return {column.name for column in contract.known if column.sensitive}


def _needed(name: str) -> Problem:
    return Problem(
        f"column {name}",
        "a keyed hash, as the contract calls it sensitive",
        "the value, which features or baseline need",
        "Nobody can answer such an input again; see `log.explain` in params.yaml.",
    )


def _text(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found)
