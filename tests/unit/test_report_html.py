"""The HTML page: complete, asking nothing of anybody, and made of our tags only."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import ROOT
from preflight.evidence import Chart, Part, SliceFinding
from preflight.report import html, plots
from unit import report_samples as samples
from unit.report_samples import COMMIT, HOSTILE, part, slice_of

EMPTY = {"meta", "br", "line", "rect", "circle", "path"}
anything = st.text(max_size=120).filter(lambda value: bool(value.strip()))


class Outline(HTMLParser):
    """Tags in order, their attributes, the text, and whether every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One more tag, open unless it is empty by its nature."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A drawing's empty tag."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Closes the innermost tag, which must be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text between tags."""
        self.text.append(data)


def outline(parts: list[Part]) -> Outline:
    """The page of a set, taken apart."""
    return Outline(html.render(parts, COMMIT))


def words(parts: list[Part]) -> str:
    """The page's text on one line."""
    return " ".join(" ".join(outline(parts).text).split())


SETS = {
    "green": samples.green,
    "red": samples.red,
    "without-data": samples.without_data,
    "hostile": samples.hostile,
    "none": list,
}


@pytest.mark.parametrize("name", SETS)
def test_every_tag_is_closed(name: str) -> None:
    found = outline(SETS[name]())
    assert found.open == []
    assert html.render(SETS[name](), COMMIT).startswith("<!doctype html>\n<html")


@pytest.mark.parametrize("name", SETS)
def test_the_page_asks_nothing_of_anybody(name: str) -> None:
    found = outline(SETS[name]())
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(found.tags)
    for tag, attribute, value in found.attributes:
        assert not attribute.startswith("on")
        assert attribute not in ("src", "srcset", "action", "style", "xlink:href")
        assert attribute != "href" or (tag == "a" and value.startswith("#gate-"))
    css = (Path(html.__file__).parent / "page.css").read_text()
    assert "url(" not in css
    assert "@import" not in css


def test_the_page_forbids_requests_by_policy() -> None:
    assert ("meta", "content") in {(tag, name) for tag, name, _ in outline([]).attributes}
    assert "default-src 'none'" in html.render([], COMMIT)


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("green", "✓ Ready: all 15 gates green"),
        ("red", "✕ Not ready: 2 of 15 gates red: differential, slices"),
        ("without-data", "? Cannot tell: no data from 1 of 15 gates: build"),
        ("none", "? Cannot tell: no gate left evidence"),
    ],
)
def test_the_page_opens_with_the_verdict(name: str, verdict: str) -> None:
    assert verdict in words(SETS[name]())


def test_the_page_has_the_same_order_as_the_comment() -> None:
    text = words(samples.red())
    heads = ["Why", "To know before approving", "The numbers", "Gates", "In detail", "Evidence"]
    places = [text.index(f" {head} ") for head in heads]
    assert places == sorted(places)


def test_a_status_is_told_by_a_word_and_a_shape() -> None:
    text = words([*samples.red(), *samples.without_data()])
    for told in ("✕ red", "✓ green", "? no data"):
        assert told in text


def test_red_gates_are_open_and_green_ones_folded() -> None:
    page = html.render(samples.red(), COMMIT)
    assert '<details class="gate fail" id="gate-slices" open>' in page
    assert '<details class="gate pass" id="gate-unit">' in page


def test_a_red_gate_has_the_command_that_shows_it() -> None:
    assert '<pre tabindex="0">make gates ONLY=slices</pre>' in html.render(samples.red(), COMMIT)


def test_the_page_leaves_nothing_out() -> None:
    notices = samples.everywhere("unit", "word").notices
    many = part("unit", *(samples.check("unit", f"case-{n}", "fail") for n in range(120)))
    text = words([many, part("policy", notices=notices)])
    assert "unit / case-119" in text
    assert "Left out" not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_changes_nothing_but_the_words(text: str) -> None:
    found = outline([samples.everywhere("unit", text)])
    tame = outline([samples.everywhere("unit", "word")])
    assert found.tags == tame.tags
    assert [each[:2] for each in found.attributes] == [each[:2] for each in tame.attributes]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(anything)
def test_any_text_changes_nothing_but_the_words(text: str) -> None:
    found = outline([samples.everywhere("unit", text)])
    assert found.tags == outline([samples.everywhere("unit", "word")]).tags


def test_unseen_characters_are_shown() -> None:
    page = html.render(samples.hostile(), COMMIT)
    assert "safe\\u202egnp.exe \\u200b" in page
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\x00\x1b]", page)


def test_a_chart_of_lines_breaks_where_a_value_lacks() -> None:
    chart = lines_of((1.0, 2.0, None, 4.0, 5.0))
    (line,) = plots.lines(chart).lines
    assert re.sub(r"[0-9. ]+", "", line.path) == "MLML"


def test_a_lone_value_among_many_is_a_dot() -> None:
    values = (None, 1.0, *([None] * 28))
    (line,) = plots.lines(lines_of(values)).lines
    assert len(line.dots) == 1


def test_labels_under_a_chart_do_not_touch() -> None:
    chart = lines_of(tuple(float(number) for number in range(80)))
    places = [tick.at for tick in plots.lines(chart).labels]
    assert len(places) >= 4
    assert min(b - a for a, b in pairwise(places)) > 40


def test_bars_start_at_zero_on_either_side() -> None:
    chart = Chart(title="x", unit="", kind="bars", labels=("a", "b"), series={"s": (-1.0, 2.0)})
    plot = plots.bars(chart)
    (left,), (right,) = (row.bars for row in plot.rows)
    assert left.x + left.width == pytest.approx(plot.zero, abs=0.2)
    assert right.x == plot.zero
    assert [tick.label for tick in plot.ticks] == ["-1", "0", "1", "2"]


@pytest.mark.parametrize("values", [(0.0,), (5.0, 5.0), (1.7e308, -1.7e308), (5e-324,), (None,)])
def test_odd_values_are_drawn_inside_the_plot(values: tuple[float | None, ...]) -> None:
    for plot in (plots.lines(lines_of(values)), plots.bars(bars_of(values))):
        assert all(-1 <= tick.at <= plots.WIDTH for tick in plot.ticks)
        assert len(plot.ticks) >= 2


@settings(deadline=None, max_examples=200, derandomize=True)
@given(
    st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=80)
)
def test_any_finite_values_are_drawn_inside_the_plot(values: list[float | None]) -> None:
    rows = [bar for row in plots.bars(bars_of(tuple(values))).rows for bar in row.bars]
    assert all(0 <= bar.x <= bar.x + bar.width <= plots.WIDTH for bar in rows)
    for line in plots.lines(lines_of(tuple(values))).lines:
        assert all(0 <= y <= plots.PLOT_HEIGHT for _, y in line.dots)


def test_slices_are_drawn_against_their_limit() -> None:
    plot = plots.dots([slice_of("bad", 1.3, "fail"), slice_of("good", 1.0, "pass")])
    assert plot is not None
    (limit,) = plot.limits
    bad, good = plot.dots
    assert good.x < limit < bad.x
    assert bad.ends is not None
    assert bad.ends[0] < bad.x < bad.ends[1]


def test_slices_without_a_figure_have_no_plot() -> None:
    silent = SliceFinding(name="a", n=0, measured=None, limit="", status="no-data")
    assert plots.dots([silent]) is None


ENGINES = """
import sys
import preflight.report.html, preflight.report.markdown
print(sorted({"numpy", "polars", "pandas", "mlflow", "matplotlib", "lightgbm"} & set(sys.modules)))
"""


def test_a_report_needs_no_engine() -> None:
    command = [sys.executable, "-c", ENGINES]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT / "src")}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def lines_of(values: tuple[float | None, ...]) -> Chart:
    """One series as lines."""
    labels = tuple(f"2026-{number:02}" for number in range(len(values)))
    return Chart(title="x", unit="", kind="lines", labels=labels, series={"s": values})


def bars_of(values: tuple[float | None, ...]) -> Chart:
    """One series as bars."""
    labels = tuple(str(number) for number in range(len(values)))
    return Chart(title="x", unit="", kind="bars", labels=labels, series={"s": values})
