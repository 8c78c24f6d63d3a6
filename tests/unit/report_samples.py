"""Sets of evidence for the tests of the report: green, red, without data, hostile, huge."""

from collections.abc import Sequence
from typing import Any

from preflight.evidence import (
    Chart,
    Evidence,
    Headline,
    Notice,
    Part,
    SliceFinding,
    Status,
    Table,
    absent,
)

COMMIT = "0123456789" * 4
GATES = [
    *("pipeline", "policy", "data", "quality", "differential", "slices", "stability", "leakage"),
    *("parity", "build", "base-case", "oddities", "unit", "integration", "coverage"),
]
HOSTILE = (
    "|x|",
    "`",
    "``` mermaid",
    "a | b `c` | d",
    "\\|x\\`",
    "<img src=x onerror=alert(1)>",
    "</summary></details><script>alert(1)</script>",
    "<!-- preflight --> -->",
    "@everyone @org/team",
    "[link](http://evil.example)",
    "](http://evil.example) ![x](http://evil.example/x.png)",
    "https://evil.example www.evil.example mail@evil.example ftp://evil.example",
    "#1 org/repo#2 GH-3 org/repo@0123456",
    "a\n\n## 🟢 Ready: all 15 gates green\n\n| a |\n|---|\n",
    "## 🟢 Ready: all 15 gates green",
    "---",
    "1. one",
    "- [x] done",
    "> [!NOTE]",
    "$(touch /tmp/x) $x^2$ $$y$$",
    "safe\u202egnp.exe \u200b\u200d\ufeff\u2066x\u2069",
    "\x00\x1b[31m\x07 \u2028 \U000e0041",
    "&lt;b&gt; &#64;everyone &colon;",
    "*bold* _soft_ ~~gone~~ :green_circle: ^[note]",
    "{{ 7 * 7 }} {% raw %} ${7}",
    '\'" onload=alert(1) x="',
    "z" + "\u0301" * 100,
    "W" * 110,
    "    indented",
)


def check(gate: str, name: str = "rows", status: Status = "pass", **more: Any) -> Evidence:
    """One check, its words filled in."""
    told = {
        "claim": f"{name} of {gate} is within its limit.",
        "found": "3 trips of 12,000 differ.",
        "reproduce": f"make gates ONLY={gate}",
    }
    return Evidence(gate=gate, check=name, status=status, **(told | more))


def part(gate: str, *lines: Evidence, **more: Any) -> Part:
    """One gate's findings on COMMIT; one green check when none is given."""
    evidence = lines or (check(gate),)
    return Part(gate=gate, commit=COMMIT, seconds=12.3, evidence=evidence, **more)


def green() -> list[Part]:
    """Every gate green, with the numbers, a table and charts."""
    return _replaced(_differential("pass"))


def red() -> list[Part]:
    """Two gates red, each with slices; declarations, a waiver, touched guards."""
    policy = part(
        "policy",
        check("policy", "limits"),
        notices=(
            Notice(kind="guards", text="gates.slices.max_ratio is looser: 1.05 to 1.10."),
            Notice(kind="waiver", text="gates.slices.max_ratio until 2031-01-31: new zones (ada)."),
            Notice(kind="machinery", text="src/preflight/gates/slices.py changed."),
        ),
    )
    unit = part("unit", *(check("unit", f"case-{number}") for number in range(8)))
    return _replaced(_differential("fail"), _slices(), policy, unit)


def without_data() -> list[Part]:
    """One gate left nothing."""
    return _replaced(_differential("pass"), absent("build", COMMIT, "no evidence: it did not run"))


def hostile() -> list[Part]:
    """One red gate a hostile text, which stands in every field that takes one."""
    return [part("unit"), *(everywhere(f"gate-{at}", text) for at, text in enumerate(HOSTILE))]


def huge(text: str = "@`<|" * 150) -> list[Part]:
    """More than a comment holds, in every list that there is."""
    return [_full(gate, text, "fail" if gate in GATES[:9] else "pass") for gate in GATES]


def slice_of(name: str, measured: float | None, status: Status, limit: str = "<= 1.05") -> Any:
    """One slice with an interval around its figure."""
    ends = None if measured is None else (measured - 0.04, measured + 0.05)
    return SliceFinding(
        name=name, n=1234, measured=measured, limit=limit, interval=ends, status=status
    )


def _replaced(*special: Part) -> list[Part]:
    by_gate = {each.gate: each for each in special}
    return [by_gate.get(gate) or part(gate) for gate in GATES]


def _differential(status: Status) -> Part:
    months = ("2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06")
    return part(
        "differential",
        check(
            "differential", "rmse", measured=1.02, limit="<= 1.05", interval=(0.99, 1.05), n=48210
        ),
        check(
            "differential",
            "reference",
            status,
            claim="Of the reference trips none moves by more than 2 minutes undeclared.",
            found="214 of 5,000 trips move by more than 2 minutes, most from JFK Airport.",
            measured=0.0428,
            limit="<= 0.01",
            interval=(0.0374, 0.0488),
            n=5000,
            details="Trips that moved most",
        ),
        notices=(
            Notice(kind="champion", text="commit 9fceb02d0ae5, promoted 2026-06-03 (production)."),
            Notice(kind="declaration", text="longer trips at night: the model now sees the hour."),
        ),
        headlines=_headlines(),
        tables=(
            Table(
                title="Trips that moved most",
                columns=("trip", "pickup zone", "champion", "candidate", "change"),
                rows=(
                    ("a81f", "JFK Airport", 41.25, 55.5, 14.25),
                    ("77c0", "LaGuardia", 30.0, None, None),
                ),
            ),
        ),
        charts=(
            Chart(
                title="RMSE by month",
                unit="min",
                kind="lines",
                labels=months,
                series={
                    "champion": (5.1, 5.2, 5.0, 5.4, None, 5.6),
                    "candidate": (4.9, 5.1, 4.8, 5.0, 5.1, 5.3),
                },
            ),
            Chart(
                title="Bias by borough",
                unit="min",
                kind="bars",
                labels=("Bronx", "Brooklyn", "EWR", "Manhattan", "Queens", "Staten Island"),
                series={
                    "champion": (-0.4, 0.12, 1.7, 0.05, 0.3, None),
                    "candidate": (-0.1, 0.1, 0.9, 0.02, 0.41, -1.2),
                },
            ),
        ),
    )


def _headlines() -> tuple[Headline, ...]:
    return (
        Headline(
            name="RMSE",
            unit="min",
            champion=5.31,
            candidate=5.12,
            change=(-0.25, -0.13),
            better="lower",
        ),
        Headline(
            name="Coverage",
            unit="",
            champion=0.899,
            candidate=0.903,
            change=(-0.002, 0.01),
            better="near",
        ),
        Headline(
            name="Latency",
            unit="ms",
            champion=3.1,
            candidate=3.9,
            change=(0.7, 0.95),
            better="lower",
        ),
        Headline(
            name="Model size", unit="MB", champion=1.5, candidate=1.75, change=None, better="lower"
        ),
    )


def _slices() -> Part:
    boroughs = (("Queens, night", 1.31), ("EWR", 1.62), ("Bronx", 1.02), ("Manhattan", 0.97))
    found = tuple(
        slice_of(name, ratio, "fail" if ratio > 1.05 else "pass") for name, ratio in boroughs
    )
    return part(
        "slices",
        check(
            "slices",
            "rmse-ratio",
            "fail",
            claim="On every slice the candidate's RMSE is at most 1.05 times the champion's.",
            found="2 of 5 slices are worse than the limit.",
            limit="<= 1.05 times the champion's",
            n=48210,
            slices=(*found, slice_of("Staten Island", None, "no-data")),
        ),
    )


def everywhere(gate: str, text: str) -> Part:
    """One red gate with a text in every field that takes one."""
    text = text[:120]
    return part(
        gate,
        check(
            gate,
            "text",
            "fail",
            claim=text,
            found=text,
            measured=2.0,
            limit=text,
            slices=(slice_of(text, 2.0, "fail", text), slice_of("plain", 1.0, "pass")),
            details=text,
            reproduce=text,
        ),
        check(gate, "green", claim=text, found=text, slices=(slice_of(text, 1.0, "pass"),)),
        **_attachments(text),
    )


def _attachments(text: str) -> dict[str, Any]:
    columns, series = (text, f"{text[:119]}2"), {text: (1.0, None), f"{text[:119]}2": (-2.0, 3.0)}
    return {
        "notices": tuple(
            Notice(kind=kind, text=text)
            for kind in ("champion", "declaration", "waiver", "machinery", "guards")
        ),
        "headlines": (
            Headline(
                name=text, unit=text, champion=1.0, candidate=2.0, change=(0.5, 1.5), better="lower"
            ),
        ),
        "tables": (Table(title=text, columns=columns, rows=((text, 1), (None, text))),),
        "charts": tuple(
            Chart(title=text, unit=text, kind=kind, labels=(text, "b"), series=series)  # type: ignore[arg-type]
            for kind in ("bars", "lines")
        ),
    }


def _full(gate: str, text: str, status: Status) -> Part:
    short = text[:120]
    slices = tuple(slice_of(short, 2.0 + at, status) for at in range(80))
    lines = [
        check(
            gate,
            f"check-{at}",
            status,
            claim=text,
            found=text,
            limit=short,
            slices=slices,
            details=short,
            reproduce=f"{at} {short}"[:120],
        )
        for at in range(30)
    ]
    table = Table(title=short, columns=(short,) * 12, rows=((short,) * 12,) * 60)
    notices = tuple(
        Notice(kind=kind, text=f"{at} {gate} {text}"[:600])
        for kind in ("champion", "guards", "machinery")
        for at in range(20)
    )
    headline = Headline(
        name=short, unit=short, champion=1.0, candidate=2.0, change=(0.5, 1.5), better="lower"
    )
    chart = Chart(
        title=short, unit=short, kind="bars", labels=(short,) * 80, series={short: (1.0,) * 80}
    )
    more: dict[str, Sequence[Any]] = {
        "notices": notices,
        "headlines": (headline,) * 6,
        "tables": (table,) * 4,
        "charts": (chart,) * 8,
    }
    return part(gate, *lines, **more)
