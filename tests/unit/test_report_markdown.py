"""The Markdown comment: what a reviewer sees, and that no text of the evidence becomes markup."""

import re
from collections.abc import Callable, Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from preflight.evidence import Chart, Evidence, Headline, Notice, Part, Table, absent, digest
from preflight.report import escape, numbers, sparks, summary
from preflight.report.fit import Block, fitted
from preflight.report.markdown import render
from preflight.report.numbers import NONE
from unit import report_samples as samples
from unit.report_samples import COMMIT, HOSTILE, check, part, slice_of

PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OUR_TAGS = {"details", "/details", "summary", "/summary", "br", "sub", "/sub"}
ZERO_WIDTH = "\u200b"
# As GitHub looks for them in the text of the finished page.
LINKS = re.compile(
    r"@\w|#\w|GH-\d|https?://|ftp://|www\.|:[\w+-]+:|(?:^|\s)\$\S", re.IGNORECASE | re.MULTILINE
)
anything = st.text(max_size=120).filter(lambda value: bool(value.strip()))


def lines(parts: Sequence[Part]) -> list[str]:
    """The comment's lines."""
    return render(parts, COMMIT).splitlines()


def flat(markdown: str) -> list[Token]:
    """Block tokens and their inline children, in order."""
    found = []
    for token in PARSER.parse(markdown):
        found += [token, *(token.children or [])]
    return found


def shown(markdown: str) -> str:
    """The text that a reader sees, code apart."""
    kinds = ("text", "html_block")
    return "\n".join(token.content for token in flat(markdown) if token.type in kinds)


def structure(markdown: str) -> list[str]:
    """What the comment is made of, without its words."""
    return [f"{token.type} {token.tag}" for token in flat(markdown)]


@pytest.mark.parametrize(
    ("make", "first"),
    [
        (samples.green, "## 🟢 Ready: all 15 gates green"),
        (samples.red, "## 🔴 Not ready: 2 of 15 gates red: differential, slices"),
        (samples.without_data, "## 🟡 Cannot tell: no data from 1 of 15 gates: build"),
        (list, "## 🟡 Cannot tell: no gate left evidence"),
    ],
)
def test_the_first_line_is_the_verdict(make: Callable[[], list[Part]], first: str) -> None:
    assert lines(make())[0] == first


def test_red_and_missing_gates_both_stand_in_the_first_line() -> None:
    parts = [part("unit", check("unit", status="fail")), absent("load", COMMIT, "did not run")]
    assert lines(parts)[0] == "## 🔴 Not ready: 1 of 2 gates red: unit; no data from 1: load"


def test_a_single_gate_is_named_as_one() -> None:
    assert lines([part("unit")])[0] == "## 🟢 Ready: the only gate is green"


def test_the_second_paragraph_names_commit_and_champion() -> None:
    found = lines(samples.green())[2]
    assert found.startswith("Commit `012345678901` against champion: commit 9fceb02d0ae5")


def test_a_set_without_a_champion_says_so() -> None:
    assert lines([part("unit")])[2].endswith("champion: none named")


def test_each_check_that_is_not_green_has_a_line_with_its_worst_slice() -> None:
    found = lines(samples.red())
    assert found[4].startswith("- 🔴 **differential / reference**: 214 of 5,000 trips move")
    assert found[5].startswith("- 🔴 **slices / rmse-ratio**: 2 of 5 slices are worse")
    assert found[5].endswith(
        "Worst slice: **Queens, night** 1.31 (1.27 to 1.36, n = 1,234), limit &lt;= 1.05"
    )


def test_a_green_set_lists_no_failure() -> None:
    assert not [line for line in lines(samples.green()) if line.startswith(("- 🔴", "- 🟡"))]


def test_many_failures_are_counted_where_they_are_cut() -> None:
    failing = [check("unit", f"case-{number}", "fail") for number in range(20)]
    text = render([part("unit", *failing)], COMMIT)
    assert "- 8 more checks not green, below." in text
    assert "**case-19**" in text


def test_notices_stand_above_the_gates_with_touched_guards_first() -> None:
    text = render(samples.red(), COMMIT)
    places = [
        text.index(word)
        for word in ("Guards:", "Waiver:", "Declared:", "Machinery touched:", "| verdict |")
    ]
    assert places == sorted(places)


def test_many_notices_of_a_kind_do_not_hide_another_kind() -> None:
    many = tuple(Notice(kind="guards", text=f"limit {number}") for number in range(50))
    waiver = Notice(kind="waiver", text="until 2031-01-31")
    text = render([part("policy", notices=(*many, waiver))], COMMIT)
    assert "- Waiver: until 2031-01-31" in text
    assert "- Guards: 45 more, in the HTML page." in text


def test_three_numbers_stand_open_and_the_others_are_folded() -> None:
    text = render(samples.green(), COMMIT)
    assert "| RMSE (min) | 5.31 | 5.12 | ▼ **better**<br><sub>-0.25 to -0.13</sub> |" in text
    assert text.index("| Latency") < text.index("More numbers") < text.index("| Model size")


@pytest.mark.parametrize(
    ("better", "ends", "arrow", "word", "tone"),
    [
        ("lower", (-2.0, -1.0), "▼", "better", "good"),
        ("lower", (1.0, 2.0), "▲", "worse", "bad"),
        ("higher", (1.0, 2.0), "▲", "better", "good"),
        ("higher", (-2.0, -1.0), "▼", "worse", "bad"),
        ("lower", (-1.0, 1.0), "■", "no clear change", "flat"),
        ("near", (1.0, 2.0), "▲", "moved", "flat"),
        ("lower", None, "▲", "higher, without an interval", "unknown"),
    ],
)
def test_a_change_is_good_or_bad_only_when_its_interval_says_so(
    better: str, ends: tuple[float, float] | None, arrow: str, word: str, tone: str
) -> None:
    plain = {"name": "x", "unit": "", "champion": 1.0, "candidate": 2.0}
    found = summary.change(Headline.model_validate({**plain, "change": ends, "better": better}))
    assert (found.arrow, found.word, found.tone) == (arrow, word, tone)


def test_a_number_without_its_champion_is_no_data() -> None:
    headline = Headline(
        name="x", unit="", champion=None, candidate=1.0, change=None, better="lower"
    )
    assert summary.change(headline).word == "no data"


def test_every_gate_has_a_row_and_red_ones_come_first() -> None:
    rows = [line for line in lines(samples.red()) if re.match(r"\| 🔴|\| 🟢|\| 🟡", line)]
    assert rows[0] == "| 🔴&nbsp;red | differential | 1 of 2 | 12.3 s |"
    assert "| 🟢&nbsp;green | unit | 8 of 8 | 12.3 s |" in rows


def test_a_red_gate_is_open_with_the_command_that_shows_it() -> None:
    text = render(samples.red(), COMMIT)
    section = text.split("### 🔴 slices: red")[1].split("###")[0]
    assert "| 🔴&nbsp;red | **rmse-ratio**<br>On every slice" in section.split("<details>")[0]
    assert "See it at home (rmse-ratio):\n\n```sh\nmake gates ONLY=slices\n```" in section


def test_failing_slices_stand_open_worst_first_and_the_others_are_folded() -> None:
    text = render(samples.red(), COMMIT)
    open_part, folded = text.split("<details><summary>All 5 slices of rmse-ratio</summary>")
    names = re.findall(r"^\| 🔴&nbsp;red \| (EWR|Queens)", open_part, re.MULTILINE)
    assert names == ["Queens", "EWR"]
    assert "| Bronx |" in folded
    assert "| Bronx |" not in open_part


def test_green_gates_are_folded() -> None:
    text = render(samples.red(), COMMIT)
    assert "<details><summary>🟢 unit: 8 green checks</summary>\n\n|" in text
    assert "case-7" not in re.sub(r"<details>.*?</details>", "", text, flags=re.DOTALL)


def test_tables_and_charts_are_folded_under_their_titles() -> None:
    text = render(samples.green(), COMMIT)
    assert "<summary>differential: Trips that moved most</summary>" in text
    assert f"| 77c0 | LaGuardia | 30 | {NONE} | {NONE} |" in text
    assert "| EWR | ██████████████ 1.7 | ███████▍ 0.9 |" in text
    assert "| candidate | ▂▅▁▄▅█ | 4.8 | 5.3 | 5.3 |" in text


def test_a_sparkline_shows_a_gap_as_a_dot_and_a_flat_line_level() -> None:
    assert sparks.sparkline([0.0, None, 7.0]) == "▁·█"
    assert sparks.sparkline([2.0, 2.0]) == "▅▅"
    assert sparks.sparkline([None]) == "·"
    assert sparks.sparkline([-1.7e308, 1.7e308]) == "▁█"


def test_an_empty_chart_of_bars_has_no_bar() -> None:
    chart = Chart(title="x", unit="", kind="bars", labels=("a",), series={"s": (None,)})
    assert sparks.chart(chart) == (["", "s"], [["a", NONE]])


def test_the_footer_has_the_digest_and_says_that_it_proves_nothing() -> None:
    parts = samples.green()
    last = lines(parts)[-1]
    assert f"`{digest(parts)}`: the digest names this set and proves nothing." in last
    assert "The gates took 3 min 5 s." in last


@pytest.mark.parametrize("text", ["x" * 600, "@`<|" * 150, "🟢" * 600, "\x00" * 600])
def test_a_huge_set_fits_keeps_its_first_screen_and_names_what_is_left_out(text: str) -> None:
    found = render(samples.huge(text), COMMIT)
    assert len(found.encode()) < 65_536
    assert found.startswith("## 🔴 Not ready: 9 of 15 gates red: pipeline")
    assert "**Left out here**" in found
    assert "The HTML page of this report has all of it." in found
    assert "| 🟢&nbsp;green | coverage |" in found
    assert "### 🔴 pipeline: red" in found


def test_hundreds_of_gates_fit_too() -> None:
    parts = [part(f"gate-{number}", check("x", status="fail")) for number in range(900)]
    found = render(parts, COMMIT)
    assert len(found.encode()) < 65_536
    assert "840 more gates" in found


def test_nothing_is_left_out_of_a_small_set() -> None:
    assert "Left out" not in render(samples.red(), COMMIT)


def test_green_detail_goes_before_tables_and_the_last_of_a_kind_first() -> None:
    word = "x" * 300
    blocks = [
        Block("first"),
        Block(f"red {word}", "checks of red gates"),
        Block(f"green {word}", "checks of green gates"),
        Block(f"table 1 {word}", "tables"),
        Block(f"table 2 {word}", "tables"),
        Block("footer"),
    ]
    found = fitted(blocks, 1400)
    assert [word for word in ("red", "green", "table 1", "table 2") if f"{word} x" in found] == [
        "red",
        "table 1",
    ]
    assert "checks of green gates (1), tables (1)." in found
    assert found.endswith("footer\n")


def test_a_heading_goes_with_the_last_of_its_blocks() -> None:
    blocks = [Block("first"), Block("x" * 900, "tables", "### Tables"), Block("footer")]
    assert "### Tables" not in fitted(blocks, 1000)
    assert "### Tables\n\nxxx" in fitted(blocks, 2000)


def tame(text: str) -> list[Part]:
    """One gate with `text` in every field, all on the first screen or under it."""
    return [samples.everywhere("unit", text)]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_but_the_words(text: str) -> None:
    assert structure(render(tame(text), COMMIT)) == structure(render(tame("word"), COMMIT))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(anything)
@example("\\|")
@example("|\\")
@example("a`|``b")
def test_any_text_changes_nothing_but_the_words(text: str) -> None:
    assert structure(render(tame(text), COMMIT)) == structure(render(tame("word"), COMMIT))


def test_no_link_picture_or_tag_but_ours_comes_of_hostile_text() -> None:
    tokens = flat(render(samples.hostile(), COMMIT))
    assert not [token for token in tokens if token.type in ("link_open", "image")]
    html = "".join(token.content for token in tokens if token.type.startswith("html"))
    assert set(re.findall(r"<([^<>\s]+)", html)) <= OUR_TAGS
    headings = [
        tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert all(re.match(r"🔴 (Not ready: 29|gate-\d+: red$)|Green|Tables", h) for h in headings)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_pings_nobody_and_links_nowhere(text: str) -> None:
    seen = shown(render(tame(text), COMMIT))
    for entity, char in (("&#8203;", ZERO_WIDTH), ("&#36;", "$"), ("&#64;", "@"), ("&#35;", "#")):
        seen = seen.replace(entity, char)
    assert LINKS.search(seen.replace("&#", "")) is None


def test_what_finds_mentions_finds_them_where_nothing_is_escaped() -> None:
    assert LINKS.search("by @everyone")
    assert LINKS.search("see https://x")
    assert LINKS.search("$x$")


@settings(deadline=None, max_examples=300, derandomize=True)
@given(anything)
@example("## heading")
@example("1. one")
@example("===")
@example("http://x www.x.y a@b.c #1 $x$")
@pytest.mark.parametrize("frame", ["{}", "- {}", "a **{}** b", "| h |\n|---|\n| {} |"])
def test_escaped_text_reads_as_itself(frame: str, text: str) -> None:
    words = " ".join(escape.visible(text).split())
    found = PARSER.parse(frame.format(escape.text(text)))
    inline = [token for token in found if token.type == "inline"][-1]
    seen = "".join(token.content for token in inline.children or []).replace(ZERO_WIDTH, "")
    assert seen == frame.split("\n")[-1].strip("|- ").replace("*", "").format(words)
    assert "heading_open" not in {token.type for token in found}


@settings(deadline=None, max_examples=300, derandomize=True)
@given(anything)
@example("`")
@example("``` ` ``")
@example("a|b`c")
@pytest.mark.parametrize("frame", ["x {} y", "| h |\n|---|\n| {} |"])
def test_a_code_span_reads_as_itself(frame: str, text: str) -> None:
    found = PARSER.parse(frame.format(escape.code(text)))
    inline = [token for token in found if token.type == "inline"][-1]
    seen = "".join(token.content for token in inline.children or []).replace(ZERO_WIDTH, "")
    assert " ".join(escape.visible(text).split()) in " ".join(seen.split())


@settings(deadline=None, max_examples=200, derandomize=True)
@given(anything)
@example("```")
@example("``` \n```")
def test_a_command_stays_in_its_block(text: str) -> None:
    kinds = [token.type for token in PARSER.parse(f"a\n\n{escape.block(text)}\n\nb")]
    assert kinds.count("fence") == 1
    assert kinds.count("paragraph_open") == 2


@settings(deadline=None, max_examples=200, derandomize=True)
@given(anything, st.integers(20, 90))
def test_a_cut_text_keeps_its_size_and_whole_references(text: str, most: int) -> None:
    cut = escape.text(text, most)
    assert len(cut.encode()) <= most
    assert not re.search(r"&[^;]*$", cut)


@pytest.mark.parametrize(
    ("raw", "seen"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\x1b[31m", "\\u001b[31m"),
        ("\U000e0041", "\\U000e0041"),
        ("\u3164", "\\u3164"),
        ("e\u0301", "e\u0301"),
        ("z\u0301\u0301\u0301", "z\u0301\u0301\\u0301"),
        ("a\u00a0b", "a b"),
        ("Jamaica Zürich 東京", "Jamaica Zürich 東京"),
    ],
)
def test_what_is_unseen_is_shown(raw: str, seen: str) -> None:
    assert escape.visible(raw) == seen


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (None, NONE),
        (0.0, "0"),
        (12, "12"),
        (1234567, "1,234,567"),
        (1234.56, "1,235"),
        (0.04281, "0.04281"),
        (-0.25, "-0.25"),
        (99999.6, "100,000"),
        (0.00001234, "0.0000123"),
        (10**400, "1.00e+400"),
        (1.7e308, "1.70e+308"),
    ],
)
def test_numbers_have_four_digits(value: float | None, seen: str) -> None:
    assert numbers.number(value) == seen


@pytest.mark.parametrize(
    ("limit", "least", "most"),
    [
        ("<= 0.3", None, 0.3),
        ("at least 0.8 and at most 0.9", 0.8, 0.9),
        ("≥ -1,000 trips", -1000.0, None),
        ("<= 5.25%", None, None),
        ("<= 1e999", None, None),
        ("equal", None, None),
    ],
)
def test_a_limit_names_its_bounds(limit: str, least: float | None, most: float | None) -> None:
    assert numbers.bounds(limit) == numbers.Bounds(least, most)


@pytest.mark.parametrize(
    ("seconds", "seen"),
    [
        (0.04, "0.0 s"),
        (12.34, "12.3 s"),
        (184.5, "3 min 4 s"),
        (3900.0, "1 h 5 min"),
        (1e308, "2.78e+304 h"),
    ],
)
def test_seconds_are_in_the_unit_that_fits(seconds: float, seen: str) -> None:
    assert numbers.duration(seconds) == seen


def test_the_worst_slice_is_the_first_that_fails() -> None:
    slices = (
        slice_of("green", 90.0, "pass", "<= 100"),
        slice_of("worst", 3.0, "fail", "<= 1"),
        slice_of("next", 11.0, "fail", "<= 10"),
    )
    worst = summary.worst_slice(check("unit", status="fail", slices=slices))
    assert worst is not None
    assert worst.name == "worst"


def test_a_check_without_failing_slices_has_no_worst() -> None:
    line: Evidence = check("unit", slices=(slice_of("a", 1.0, "pass"),))
    assert summary.worst_slice(line) is None


def test_a_table_without_rows_is_only_its_heads() -> None:
    empty = Table(title="nothing", columns=("a", "b"), rows=())
    text = render([part("unit", tables=(empty,))], COMMIT)
    assert "<summary>unit: nothing</summary>\n\n| a | b |\n| --- | --- |\n\n</details>" in text
