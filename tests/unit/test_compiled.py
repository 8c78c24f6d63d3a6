"""The compiled decoder accepts what callers send, and never more than the definition."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.contract import Column, Contract
from preflight.serving.compiled import Columns, Refused
from preflight.serving.requests import Decoder, Invalid, parse
from taxi.contract import CONTRACT

# A busy machine may be slow; what is tested is what is accepted.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def contract(*columns: Column) -> Contract:
    """A contract whose callers know these columns."""
    others = (
        Column("y", "number", "", minimum=0, maximum=9, role="target"),
        Column("e", "integer", "", role="entity"),
    )
    return Contract("any", 1, (*columns, *others), (), (), (5.0,))


CONTRACTS = {
    "trips": CONTRACT,
    "kinds": contract(
        Column("word", "text", "", known=True),
        Column("size", "text", "", allowed=("small", "large"), known=True),
        Column("tariff", "integer", "", allowed=(0, 2, 5), known=True),
        Column("count", "integer", "", known=True),
        Column("weight", "number", "", known=True),
        Column("at", "time", "", known=True, role="time"),
    ),
    "single": contract(Column("count", "integer", "", minimum=-3, maximum=3, known=True)),
    "text": contract(Column("word", "text", "", known=True)),
}
DECODERS = {name: Decoder(chosen, 3) for name, chosen in CONTRACTS.items()}
USUAL = {"integer": "2", "number": "1.5", "text": '"small"', "time": '"2021-02-03T08:15:00"'}
# How JSON may spell what a caller means, and what it must not mean.
SPELT = {
    "integer": "0 1 2 3 5 -0 -3 74 265 266 1.0 74.0 1e0 2E0 0.5 true false null"
    " 9223372036854775807 9223372036854775808 -9223372036854775808 1e400 NaN [1]"
    f' "1" {10**30} 01 +1 --1 1.'.split(),
    "number": "0 -0 0.0 -0.0 0.01 0.00999999999999999999 1 1.9 100 100.00000000000001 1e2 1e-320"
    " 5e-324 1e308 1e309 -1e309 1.7976931348623157e308 123456789012345678901234567890 NaN"
    f' Infinity "1.9" true null {10**400} .5 5. 0.1234567890123456789012345678901'.split(),
    "text": [
        *('"small"', '"large"', '""', '"\\u0073mall"', '"\\ud800"', '"\\ud83d\\ude00"', "null"),
        *('"\\u0000"', '"é😀"', "3", '"a\tb"', '"a\\tb"', '["small"]', '"small "', "true"),
    ],
    "time": [
        *('"2021-02-03T08:15:00"', '"2021-02-03T08:15"', '"2021-02-03T08:15:00.123456"'),
        *('"2021-02-29T08:15:00"', '"2020-02-29T23:59:59"', '"2021-02-03T24:00:00"'),
        *('"2021-02-03T08:15:60"', '"2021-02-03 08:15:00"', '"2021-W05-3T08:15:00"'),
        *('"2021-02-03t08:15:00"', '"2021-02-03T08:15:0\u0665"', '"0000-01-01T00:00:00"'),
        *('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59"', '"2008-12-31T23:59:59"'),
        *('"2021-02-03T08:15:00\\n"', '"2021-02-03T08:15:0\\u0000"', '"2021-02-03T08:15+01:00"'),
        *('"2021\\u002d02-03T08:15:00"', "1612340100", "null", '"2021-02-03T08:15:0 "'),
        *('"-021-02-03T08:15:00"', '"2021-02-03T08:15:-1"', '"2021-13-03T08:15:00"'),
    ],
}


def spelt(chosen: Contract) -> st.SearchStrategy[str]:
    """JSON texts near to a row of a contract."""
    fields = [
        st.tuples(
            st.just(f'"{column.name}"'),
            # One odd value among usual ones says most.
            st.sampled_from([USUAL[column.kind]] * 60 + SPELT[column.kind]),
        )
        for column in chosen.known
    ]
    odd = st.tuples(st.sampled_from(['"word"', '"count"', '"x"', '"\\ud800"']), st.just("1"))
    pairs = st.tuples(*fields).map(list)
    more = st.one_of(
        pairs,
        pairs.flatmap(st.permutations),
        st.builds(lambda found, another: [*found, another], pairs, odd),
        st.lists(odd),
    )
    blank = st.sampled_from(["", "", " ", "\n", "\r\n\t", "\ufeff", "x"])
    return st.builds(
        lambda found, head, tail: f"{head}{{{', '.join(f'{n}: {v}' for n, v in found)}}}{tail}",
        more,
        blank,
        blank,
    )


def slow(decoder: Decoder, lines: list[bytes], whole: bytes | None = None) -> Columns | None:
    """What value by value is made of rows, or of a batch; None where it refuses."""
    try:
        if whole is not None:
            return decoder._arrays(decoder._rows(parse(whole)))
        return decoder._arrays([decoder._row(parse(line), "") for line in lines])
    except Invalid:
        return None


def fast(decode: Any, *given: Any) -> Columns | None:
    """What the compiled decoder makes; None where it refuses."""
    try:
        found: Columns = decode(*given)
    except Refused:
        return None
    return found


def require_subset(found: Columns | None, expected: Columns | None) -> None:
    """What was accepted must be accepted by the definition, with equal arrays."""
    if found is None:
        return
    assert expected is not None
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert found[name].tolist() == values.tolist()


def row(chosen: Contract, **fields: str) -> bytes:
    """The usual row with fields' JSON texts laid over it."""
    usual = {column.name: USUAL[column.kind] for column in chosen.known} | fields
    pairs = [f'"{name}": {text}' for name, text in usual.items()]
    return f"{{{', '.join(pairs)}}}".encode()


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_one_odd_value_is_decoded_as_defined_in_every_way(name: str) -> None:
    decoder, chosen = DECODERS[name], CONTRACTS[name]
    columns = (*chosen.known, Column("another", "integer", ""))
    for column, text in ((each, text) for each in columns for text in SPELT[each.kind]):
        line = row(chosen, **{column.name: text})
        whole = b'{"instances": [' + row(chosen) + b", " + line + b"]}"
        require_subset(fast(decoder._compiled.one, line), slow(decoder, [line]))
        require_subset(fast(decoder._compiled.batch, whole), slow(decoder, [], whole))
        found, refused = decoder.lines([row(chosen), line])
        assert list(refused) == ([] if slow(decoder, [line]) else [1])
        require_subset(found, slow(decoder, [row(chosen), line][: 2 - len(refused)]))


@pytest.mark.parametrize("name", list(CONTRACTS))
@settings(PATIENT, max_examples=80)
@given(data=st.data())
def test_the_compiled_decoder_accepts_no_more_than_the_definition(
    name: str, data: st.DataObject
) -> None:
    decoder, compiled = DECODERS[name], DECODERS[name]._compiled
    rows = data.draw(st.lists(spelt(CONTRACTS[name]), min_size=1, max_size=4))
    lines = [row.encode() for row in rows]
    require_subset(fast(compiled.one, lines[0]), slow(decoder, lines[:1]))
    whole = b'{"instances": [' + b", ".join(lines) + b"]}"
    require_subset(fast(compiled.batch, whole), slow(decoder, [], whole))
    columns, refused = decoder.lines(lines)
    kept = [line for place, line in enumerate(lines) if place not in refused]
    assert all(slow(decoder, [lines[place]]) is None for place in refused)
    if columns is None:
        assert not kept
    else:
        require_subset(columns, slow(decoder, kept))


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_the_compiled_decoder_accepts_what_callers_usually_send(name: str) -> None:
    """Or every request would be looked at value by value."""
    usual = row(CONTRACTS[name])
    compiled = DECODERS[name]._compiled
    expected = slow(DECODERS[name], [usual])
    assert expected is not None
    for found in (
        fast(compiled.one, usual),
        fast(compiled.batch, b'{"instances": [' + usual + b"]}"),
    ):
        assert found is not None
        require_subset(found, expected)
    assert DECODERS[name].lines([usual, usual])[0] is not None
