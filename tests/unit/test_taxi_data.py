"""Where trips and zones come from: the generator, a folder or an address; and what is wrong."""

import csv
import gc
import socket
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import polars as pl
import pytest

from preflight.errors import Problem
from preflight.params import Params
from taxi import data, synthetic
from taxi.data import LOOKUP_FILE

HEADER = "LocationID,Borough,Zone,service_zone\n"
# As in TLC's file: names that repeat, text that looks like a gap, and a name to quote.
LOOKUP = (
    HEADER + '103,Manhattan,"Governor\'s Island/Ellis Island, Liberty Island",Yellow Zone\n'
    "104,Manhattan,Corona,Yellow Zone\n"
    "56,Queens,Corona,Boro Zone\n"
    "57,Queens,Corona,Boro Zone\n"
    "264,Unknown,NV,N/A\n"
    "265,Unknown,NA,N/A\n"
)
ParamsOf = Callable[[str], Params]


class Quiet(SimpleHTTPRequestHandler):
    """A file server that logs nothing; a path that ends in .cut breaks off halfway."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if "cut" not in self.path:
            return super().do_GET()
        content = LOOKUP.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: content.index(b"264")])
        self.close_connection = True
        return None


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address under which a local server offers the test's folder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            gc.collect()  # so that a connection left open fails its own test, not a later one


@pytest.fixture
def params_of(small_params: Callable[..., Params]) -> ParamsOf:
    """The test profile's parameters with a source."""
    return lambda source: small_params(data={"source": source})


@pytest.fixture
def months(tmp_path: Path) -> Path:
    """A folder with a month and the lookup, named as TLC's are."""
    month = synthetic.scan("2021-01", 4_000, 7).collect()
    month.write_parquet(tmp_path / "green_tripdata_2021-01.parquet")
    (tmp_path / LOOKUP_FILE).write_text(LOOKUP)
    return tmp_path


@pytest.fixture
def generated(params_of: ParamsOf, tmp_path: Path) -> bytes:
    """What the generator's month is on disk."""
    data.ingest(params_of("synthetic"), "2021-01", tmp_path / "generated.parquet")
    return (tmp_path / "generated.parquet").read_bytes()


def refusal(params: Params, target: Path, month: str = "2021-01") -> str:
    """What ingest says to a source."""
    with pytest.raises(Problem) as caught:
        data.ingest(params, month, target)
    return str(caught.value)


def rows(path: Path) -> list[dict[str, str]]:
    """A written lookup's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def broken(month: str, **columns: object) -> dict[str, list[bool]]:
    """Which rows break which of the month's rules; columns left out hold no fault."""
    frame = pl.DataFrame(columns)
    rules = data.row_rules(month)
    names = set(frame.columns)
    return {
        name: frame.select(rule).to_series().to_list()
        for name, rule in rules.items()
        if set(rule.meta.root_names()) <= names
    }


def test_a_month_in_a_folder_is_read_as_the_generator_would_give_it(
    params_of: ParamsOf, months: Path, generated: bytes
) -> None:
    data.ingest(params_of(str(months)), "2021-01", months / "out.parquet")
    assert (months / "out.parquet").read_bytes() == generated


def test_a_folder_may_be_named_from_home(
    params_of: ParamsOf, months: Path, generated: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(months.parent))
    data.ingest(params_of(f"~/{months.name}"), "2021-01", months / "out.parquet")
    assert (months / "out.parquet").read_bytes() == generated


def test_a_month_at_an_address_is_read_as_the_generator_would_give_it(
    params_of: ParamsOf, months: Path, generated: bytes, address: str
) -> None:
    source = params_of(address + "/green_tripdata_{month}.parquet")
    data.ingest(source, "2021-01", months / "out.parquet")
    assert (months / "out.parquet").read_bytes() == generated


def test_a_folder_that_lacks_the_month_is_refused_by_the_files_name(
    params_of: ParamsOf, months: Path
) -> None:
    found = refusal(params_of(str(months)), months / "out.parquet", "2021-02")
    assert f"{months}/green_tripdata_2021-02.parquet: found no file;" in found


def test_an_address_that_lacks_the_month_is_refused_by_the_address(
    params_of: ParamsOf, months: Path, address: str
) -> None:
    source = params_of(address + "/green_tripdata_{month}.parquet")
    found = refusal(source, months / "out.parquet", "2021-02")
    assert (
        f"{address}/green_tripdata_2021-02.parquet: found no whole answer (HTTP Error 404" in found
    )


def test_an_address_without_a_place_for_the_month_is_refused(
    params_of: ParamsOf, tmp_path: Path
) -> None:
    found = refusal(params_of("http://127.0.0.1/trips.parquet"), tmp_path / "out.parquet")
    assert "data.source" in found
    assert "an address with {month} in it" in found


def test_an_address_where_nobody_listens_is_refused(
    params_of: ParamsOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{free.getsockname()[1]}"
        found = refusal(params_of(place + "/{month}.parquet"), tmp_path / "out.parquet")
    assert f"{place}/2021-01.parquet: found no whole answer" in found
    assert "Check data.source" in found


def test_an_address_that_no_host_can_have_is_refused(params_of: ParamsOf, tmp_path: Path) -> None:
    source = params_of("http://127.0.0.1:port/{month}.parquet")
    assert "127.0.0.1:port" in refusal(source, tmp_path / "out.parquet")


def test_what_an_address_gives_must_be_a_month(
    params_of: ParamsOf, months: Path, address: str
) -> None:
    found = refusal(params_of(address + "/" + LOOKUP_FILE + "?{month}"), months / "out.parquet")
    assert "found no readable Parquet" in found


def test_a_refused_month_leaves_the_one_before_in_its_place(
    params_of: ParamsOf, tmp_path: Path
) -> None:
    (tmp_path / "out.parquet").write_text("before")
    refusal(params_of(str(tmp_path)), tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == "before"


def test_a_sampled_month_has_fewer_rows_with_seed_7(
    small_params: Callable[..., Params], tmp_path: Path
) -> None:
    data.ingest(small_params(data={"sample": 0.25}), "2021-01", tmp_path / "out.parquet")
    assert 900 < pl.scan_parquet(tmp_path / "out.parquet").select(pl.len()).collect().item() < 1_100


def test_the_generators_lookup_has_every_zone(params_of: ParamsOf, tmp_path: Path) -> None:
    data.lookup(params_of("synthetic"), tmp_path / "lookup.csv")
    found = rows(tmp_path / "lookup.csv")
    assert list(found[0]) == ["zone", "borough", "name", "service_zone"]
    assert [int(row["zone"]) for row in found] == list(range(1, 266))


def test_a_folders_lookup_is_in_the_order_of_zones(params_of: ParamsOf, months: Path) -> None:
    data.lookup(params_of(str(months)), months / "lookup.csv")
    found = rows(months / "lookup.csv")
    assert [row["zone"] for row in found] == ["56", "57", "103", "104", "264", "265"]


def test_text_that_looks_like_a_gap_stays_text(params_of: ParamsOf, months: Path) -> None:
    data.lookup(params_of(str(months)), months / "lookup.csv")
    assert rows(months / "lookup.csv")[-1] == {
        "zone": "265",
        "borough": "Unknown",
        "name": "NA",
        "service_zone": "N/A",
    }


def test_zones_of_one_name_all_survive(params_of: ParamsOf, months: Path) -> None:
    data.lookup(params_of(str(months)), months / "lookup.csv")
    names = [row["name"] for row in rows(months / "lookup.csv")]
    assert names.count("Corona") == 3


def test_a_name_with_a_comma_survives(params_of: ParamsOf, months: Path) -> None:
    data.lookup(params_of(str(months)), months / "lookup.csv")
    names = [row["name"] for row in rows(months / "lookup.csv")]
    assert "Governor's Island/Ellis Island, Liberty Island" in names


def test_a_lookup_at_an_address_stands_beside_the_months(
    params_of: ParamsOf, months: Path, address: str
) -> None:
    data.lookup(params_of(str(months)), months / "folder.csv")
    data.lookup(params_of(address + "/green_tripdata_{month}.parquet"), months / "address.csv")
    assert (months / "address.csv").read_bytes() == (months / "folder.csv").read_bytes()


def test_a_lookup_whose_transfer_breaks_off_is_refused(
    params_of: ParamsOf, tmp_path: Path, address: str
) -> None:
    with pytest.raises(Problem, match="cut"):
        data.lookup(params_of(address + "/cut/{month}.parquet"), tmp_path / "lookup.csv")


def test_a_lookup_may_have_a_byte_order_mark_and_windows_line_ends(
    params_of: ParamsOf, months: Path
) -> None:
    data.lookup(params_of(str(months)), months / "plain.csv")
    (months / LOOKUP_FILE).write_bytes(LOOKUP.replace("\n", "\r\n").encode("utf-8-sig"))
    data.lookup(params_of(str(months)), months / "marked.csv")
    assert (months / "marked.csv").read_bytes() == (months / "plain.csv").read_bytes()


def test_a_blank_line_at_a_lookups_end_is_harmless(params_of: ParamsOf, months: Path) -> None:
    (months / LOOKUP_FILE).write_text(LOOKUP + "\n")
    data.lookup(params_of(str(months)), months / "lookup.csv")
    assert len(rows(months / "lookup.csv")) == 6


@pytest.mark.parametrize(
    "text",
    [
        "",
        "LocationID,Borough,Zone\n1,Queens,Astoria\n",
        "zone,borough,name,service_zone\n1,Queens,Astoria,Boro Zone\n",
        "<html>no such page</html>\n",
    ],
    ids=["empty", "narrow", "renamed", "a page"],
)
def test_a_lookup_with_another_header_is_refused_by_name(
    params_of: ParamsOf, tmp_path: Path, text: str
) -> None:
    (tmp_path / LOOKUP_FILE).write_text(text)
    with pytest.raises(Problem, match=LOOKUP_FILE):
        data.lookup(params_of(str(tmp_path)), tmp_path / "lookup.csv")
    assert not (tmp_path / "lookup.csv").exists()


@pytest.mark.parametrize(
    "line", ["one,Queens,Astoria,Boro Zone\n", "1\n"], ids=["no number", "short"]
)
def test_a_lookup_with_a_broken_row_is_refused_by_name(
    params_of: ParamsOf, tmp_path: Path, line: str
) -> None:
    (tmp_path / LOOKUP_FILE).write_text(HEADER + line)
    with pytest.raises(Problem, match=LOOKUP_FILE):
        data.lookup(params_of(str(tmp_path)), tmp_path / "lookup.csv")


def test_a_missing_lookup_is_refused_by_name(params_of: ParamsOf, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="found no zone lookup") as caught:
        data.lookup(params_of(str(tmp_path)), tmp_path / "lookup.csv")
    assert str(tmp_path / LOOKUP_FILE) in str(caught.value)


def test_a_lookup_missing_at_an_address_is_refused_by_the_address(
    params_of: ParamsOf, tmp_path: Path, address: str
) -> None:
    with pytest.raises(Problem, match="found no whole answer") as caught:
        data.lookup(params_of(address + "/{month}.parquet"), tmp_path / "lookup.csv")
    assert f"{address}/{LOOKUP_FILE}" in str(caught.value)


def test_the_rules_beyond_the_contracts_have_names() -> None:
    assert set(data.row_rules("2021-01")) == {"outside_month", "reversed_charge"}


@pytest.mark.parametrize(
    ("month", "before", "first", "last", "after"),
    [
        ("2021-01", "2020-12-31T23:59:59", "2021-01-01", "2021-01-31T23:59:59", "2021-02-01"),
        ("2024-02", "2024-01-31T23:59:59", "2024-02-01", "2024-02-29T23:59:59", "2024-03-01"),
        ("2021-11", "2021-10-31T23:59:59", "2021-11-01", "2021-11-30T23:59:59", "2021-12-01"),
        ("2021-12", "2021-11-30T23:59:59", "2021-12-01", "2021-12-31T23:59:59", "2022-01-01"),
    ],
)
def test_a_trip_belongs_to_its_month_from_the_first_second_to_the_last(
    month: str, before: str, first: str, last: str, after: str
) -> None:
    times = pl.Series([before, first, last, after]).str.to_datetime(time_unit="us", strict=True)
    assert broken(month, pickup_at=times)["outside_month"] == [True, False, False, True]


def test_a_trip_of_the_same_month_in_another_year_is_outside() -> None:
    times = pl.Series(["2008-01-15", "2022-01-15"]).str.to_datetime(time_unit="us")
    assert broken("2021-01", pickup_at=times)["outside_month"] == [True, True]


def test_a_charge_is_reversed_when_the_fare_or_the_total_is_negative() -> None:
    found = broken(
        "2021-01", fare_amount=[9.5, -9.5, -9.5, 0.0, 0.0], total_amount=[9.8, -9.8, 9.8, 0.0, -0.3]
    )
    assert found["reversed_charge"] == [False, True, True, False, True]
