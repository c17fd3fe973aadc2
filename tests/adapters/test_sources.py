"""Bytes from a file or a server (a real one, on this machine) arrive whole or not at all."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from daycast.adapters.sources import Received, fetch, rows
from daycast.config import Dataset, dataset_only
from daycast.errors import SourceError

CSV = b"service_date,day_type,bus,rail_boardings,total_rides\n01/01/2001,U,1,2,3\n"
NEWER = CSV + b"01/02/2001,W,4,5,9\n"
PAGE = b"\n<!DOCTYPE html><html><body>Down for maintenance</body></html>"


def shown(value: str | bytes) -> str:
    """A parameter in a test's name; compressed bytes hold the time, and would give it another name in each process."""
    return value if isinstance(value, str) else f"{len(value)} bytes"


@dataclass
class Reply:
    """One answer of the server; ``length`` and ``cut`` let it lie about its body."""

    body: bytes = CSV
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    pause: float = 0.0


@dataclass
class Server:
    """Gives its replies one after the other, the last one for ever, and remembers the requests' headers."""

    address: str
    replies: list[Reply]
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            state.seen.append(dict(self.headers))
            reply = state.replies.pop(0) if len(state.replies) > 1 else state.replies[0]
            self.send_response(reply.status)
            for name, value in ({"Content-Type": "text/csv"} | reply.headers).items():
                self.send_header(name, value)
            if "Transfer-Encoding" not in reply.headers:
                self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
            self.send_header("Connection", "close")
            self.end_headers()
            time.sleep(reply.pause)
            with suppress(OSError):  # the client may have left
                self.wfile.write(reply.body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state = Server(f"http://127.0.0.1:{http.server_port}/file", [Reply()])
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield state
        http.shutdown()


@dataclass
class Place:
    """Where a dataset's file goes in a test."""

    folder: Path
    dataset: Dataset

    @property
    def into(self) -> Path:
        return self.folder / "raw" / "cta"

    @property
    def memory(self) -> Path:
        return self.folder / "state" / "memory.json"

    def fetch(self, **more: Any) -> Received:
        return fetch(self.dataset, self.into, self.memory, self.folder, **more)

    def left(self) -> list[str]:
        """Every file and folder under raw/."""
        return sorted(str(p.relative_to(self.folder / "raw")) for p in self.folder.glob("raw/**/*"))


MakePlace = Callable[..., Place]


@pytest.fixture
def place(tmp_path: Path, root: Path, server: Server) -> MakePlace:
    def make(read_format: str = "csv", source: dict[str, Any] | None = None, **of_url: Any) -> Place:
        plain = dataset_only(root, "cta").model_dump(mode="json")
        url = {"kind": "url", "url": server.address, "timeout_s": 5.0, "retries": 2, "backoff_s": 0.001, "max_mib": 1.0}
        plain["source"] = source or (url | of_url)
        plain["read"]["format"] = read_format
        return Place(tmp_path / "a place", Dataset.model_validate_json(json.dumps(plain)))

    return make


def test_a_download_keeps_the_bytes_as_received_and_leaves_nothing_else(place: MakePlace) -> None:
    here = place()
    got = here.fetch()

    assert (got.file.read_bytes(), got.changed, got.size) == (CSV, True, len(CSV))
    assert got.file == here.into / "received.csv"
    assert got.origin == here.dataset.source.url
    assert here.left() == ["cta", "cta/received.csv"]


def test_progress_is_told_with_the_whole_size(place: MakePlace) -> None:
    told: list[tuple[int, int | None]] = []
    place().fetch(on_bytes=lambda done, total: told.append((done, total)))

    assert told[-1] == (len(CSV), len(CSV))


@pytest.mark.parametrize(("header", "sent_back"), [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
def test_an_unchanged_file_is_not_sent_again(place: MakePlace, server: Server, header: str, sent_back: str) -> None:
    server.replies = [Reply(headers={header: "Mon, 01 Jan 2001 00:00:00 GMT"}), Reply(b"", 304)]
    here = place()
    here.fetch()
    again = here.fetch()

    assert sent_back not in server.seen[0]
    assert server.seen[1][sent_back] == "Mon, 01 Jan 2001 00:00:00 GMT"
    assert (again.changed, again.file.read_bytes()) == (False, CSV)


def test_the_same_bytes_sent_again_are_no_change_and_leave_the_file_alone(place: MakePlace) -> None:
    here = place()
    before = here.fetch().file.stat().st_mtime_ns

    assert not here.fetch().changed
    assert (here.into / "received.csv").stat().st_mtime_ns == before


def test_newer_bytes_replace_the_file(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(headers={"ETag": '"1"'}), Reply(NEWER, headers={"ETag": '"2"'}), Reply(b"", 304)]
    here = place()
    here.fetch()

    assert here.fetch().changed
    assert (here.into / "received.csv").read_bytes() == NEWER
    assert not here.fetch().changed
    assert server.seen[2]["If-None-Match"] == '"2"'


@pytest.mark.parametrize("change", ["removed", "restored", "local", "another address", "unreadable memory"])
def test_the_whole_file_is_asked_for_when_the_memory_is_of_another(
    place: MakePlace, server: Server, change: str, tmp_path: Path
) -> None:
    server.replies = [Reply(headers={"ETag": '"1"'})]
    here = place()
    file = here.fetch().file
    if change == "removed":
        file.unlink()
    elif change == "restored":
        file.write_bytes(NEWER)  # as when an older version of the data is checked out
    elif change == "local":
        (tmp_path / "mine.csv").write_bytes(NEWER)
        here.fetch(from_file=tmp_path / "mine.csv")
    elif change == "another address":
        here = place(url=f"{server.address}?other")
    else:
        here.memory.write_text("{")
    here.fetch()

    assert "If-None-Match" not in server.seen[1]
    assert file.read_bytes() == CSV


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(place: MakePlace, server: Server, status: int) -> None:
    server.replies = [Reply(b"busy", status), Reply(b"busy", status, {"Retry-After": "0"}), Reply()]

    assert place().fetch().file.read_bytes() == CSV
    assert len(server.seen) == 3


def test_the_wait_that_a_server_asks_for_is_kept(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"", 503, {"Retry-After": "1"}), Reply()]
    start = time.monotonic()
    place().fetch()

    assert time.monotonic() - start >= 1.0


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_server_that_asks_for_a_long_wait_is_left_alone(place: MakePlace, server: Server, form: str) -> None:
    after = "3600" if form == "seconds" else formatdate(time.time() + 3600, usegmt=True)
    server.replies = [Reply(b"", 429, {"Retry-After": after})]

    with pytest.raises(SourceError, match=r"429 .* asks to wait 3[56]\d\d s"):
        place().fetch()
    assert len(server.seen) == 1


def test_an_unreadable_wait_counts_as_none(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"", 503, {"Retry-After": "soon"}), Reply()]

    assert place().fetch().changed


def test_waits_double_between_attempts(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"", 500)]
    start = time.monotonic()
    with pytest.raises(SourceError):
        place(backoff_s=0.2).fetch()

    assert time.monotonic() - start >= 0.2 + 0.4


def test_failures_that_last_end_with_the_number_of_attempts_and_the_way_out(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"", 500)]

    with pytest.raises(SourceError, match=r"(?s)500 .*, 3 times.*daycast ingest dataset=cta --from FILE"):
        place().fetch()
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 304])
def test_a_lasting_failure_is_not_tried_again(place: MakePlace, server: Server, status: int) -> None:
    server.replies = [Reply(b"", status)]

    with pytest.raises(SourceError, match=str(status)):
        place().fetch()
    assert len(server.seen) == 1


def test_a_refused_connection_is_tried_again_then_named(place: MakePlace) -> None:
    with pytest.raises(SourceError, match=r"ConnectError.*3 times"):
        place(url="http://127.0.0.1:9/file").fetch()


def test_a_silent_server_is_given_up_after_the_timeout(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(pause=1.0)]

    with pytest.raises(SourceError, match=r"ReadTimeout.*, 1 times"):
        place(timeout_s=0.1, retries=0).fetch()


@pytest.mark.parametrize("again", [True, False])
def test_a_truncated_answer_is_tried_again_and_never_kept(place: MakePlace, server: Server, again: bool) -> None:
    whole = Reply(NEWER)
    cut = Reply(NEWER[:-10], length=len(NEWER))
    server.replies = [cut, whole] if again else [cut]
    here = place()

    if again:
        assert here.fetch().file.read_bytes() == NEWER
    else:
        with pytest.raises(SourceError, match="RemoteProtocolError"):
            here.fetch()
        assert here.left() == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_file_above_the_limit_is_refused(place: MakePlace, server: Server, announced: bool) -> None:
    body = b"x" * 3000
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    server.replies = [Reply(body) if announced else Reply(chunked, headers={"Transfer-Encoding": "chunked"})]
    here = place(max_mib=0.002)

    with pytest.raises(SourceError, match=r"at most 0.002 MiB .*max_mib"):
        here.fetch()
    assert here.left() == []
    assert len(server.seen) == 1


def test_the_limit_holds_for_what_a_small_packed_answer_unpacks_to(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(gzip.compress(b"0" * 2**21), headers={"Content-Encoding": "gzip"})]

    with pytest.raises(SourceError, match="at most 1 MiB"):
        place().fetch()


def test_a_body_packed_for_the_way_is_kept_unpacked(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(gzip.compress(CSV), headers={"Content-Encoding": "gzip"})]
    totals: list[int | None] = []

    assert place().fetch(on_bytes=lambda _, total: totals.append(total)).file.read_bytes() == CSV
    assert set(totals) == {None}


def test_a_damaged_packed_body_is_an_error(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"not gzip", headers={"Content-Encoding": "gzip"})]

    with pytest.raises(SourceError, match="DecodingError"):
        place().fetch()


def test_a_packed_file_is_asked_for_as_it_is(place: MakePlace, server: Server) -> None:
    packed = gzip.compress(CSV)
    server.replies = [Reply(packed)]

    assert place("csv.gz").fetch().file.read_bytes() == packed
    assert server.seen[0]["Accept-Encoding"] == "identity"


def test_redirects_are_followed(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"", 302, {"Location": "/elsewhere"}), Reply(NEWER)]

    assert place().fetch().file.read_bytes() == NEWER


@pytest.mark.parametrize("target", ["/file", "ftp://127.0.0.1/file"])
def test_redirects_that_lead_nowhere_are_an_error(place: MakePlace, server: Server, target: str) -> None:
    server.replies = [Reply(b"", 302, {"Location": target})]

    with pytest.raises(SourceError, match=r"TooManyRedirects|UnsupportedProtocol"):
        place().fetch()


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "text/csv"])
def test_an_error_page_is_no_data_whatever_it_calls_itself(place: MakePlace, server: Server, kind: str) -> None:
    server.replies = [Reply(), Reply(PAGE, headers={"Content-Type": kind})]
    here = place()
    here.fetch()

    with pytest.raises(SourceError, match="a page"):
        here.fetch()
    assert (here.into / "received.csv").read_bytes() == CSV
    assert here.left() == ["cta", "cta/received.csv"]


@pytest.mark.parametrize("fault", [Reply(b"", 500), Reply(NEWER[:-5], length=len(NEWER)), Reply(b""), Reply(b"a\0b")])
def test_after_any_failure_the_old_file_is_untouched(place: MakePlace, server: Server, fault: Reply) -> None:
    server.replies = [Reply(headers={"ETag": '"1"'}), fault, Reply(b"", 304)]
    here = place(retries=0)
    here.fetch()
    with pytest.raises(SourceError):
        here.fetch()

    assert (here.into / "received.csv").read_bytes() == CSV
    assert here.left() == ["cta", "cta/received.csv"]
    assert not here.fetch().changed


def test_what_a_killed_process_left_is_cleared_by_the_next(place: MakePlace, server: Server) -> None:
    server.replies = [Reply(b"service_date\n", length=10_000, pause=60.0), Reply()]
    here = place()
    script = (
        "import sys; from pathlib import Path; from daycast.adapters.sources import fetch; "
        "from daycast.config import Dataset; folder = Path(sys.argv[1]); "
        "fetch(Dataset.model_validate_json(sys.argv[2]), folder / 'raw' / 'cta', folder / 'state' / 'm', folder)"
    )
    dying = subprocess.Popen([sys.executable, "-c", script, str(here.folder), here.dataset.model_dump_json()])
    while not server.seen:
        assert dying.poll() is None
        time.sleep(0.02)
    dying.kill()
    dying.wait()

    assert [name for name in here.left() if name.startswith(".tmp-cta-")]
    here.fetch()
    assert here.left() == ["cta", "cta/received.csv"]


def test_the_temporary_folder_of_a_living_process_is_left_alone(place: MakePlace) -> None:
    here = place()
    seen: list[list[str]] = []

    def look(_: int, __: int | None) -> None:
        if not seen:
            seen.append(here.left())
            here.fetch()
            seen.append(here.left())

    here.fetch(on_bytes=look)

    assert [name for name in seen[1] if name in seen[0]] == seen[0]
    assert here.left() == ["cta", "cta/received.csv"]


def test_a_local_copy_is_taken_byte_for_byte(place: MakePlace, server: Server, tmp_path: Path) -> None:
    local = tmp_path / "my file.csv"
    local.write_bytes(b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"))
    got = place().fetch(from_file=local)

    assert got.file.read_bytes() == local.read_bytes()
    assert got.origin == str(local)
    assert not server.seen


def test_a_file_source_is_found_relative_to_the_project(place: MakePlace) -> None:
    here = place(source={"kind": "file", "path": "inbox/x.csv"})
    (here.folder / "inbox").mkdir(parents=True)
    (here.folder / "inbox" / "x.csv").write_bytes(CSV)

    assert here.fetch().file.read_bytes() == CSV


@pytest.mark.parametrize("what", ["absent", "a folder"])
def test_a_local_copy_that_is_no_file_is_named(place: MakePlace, tmp_path: Path, what: str) -> None:
    (tmp_path / "a folder").mkdir()

    with pytest.raises(SourceError, match=rf"{what}: .*\n.*--from FILE"):
        place().fetch(from_file=tmp_path / what)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_missing_permissions_are_named(place: MakePlace, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(CSV)
    (tmp_path / "x.csv").chmod(0)

    with pytest.raises(SourceError, match="Permission denied"):
        place().fetch(from_file=tmp_path / "x.csv")


def test_a_place_that_can_not_be_written_is_named(place: MakePlace) -> None:
    here = place()
    here.folder.mkdir()
    (here.folder / "raw").write_text("a file where the folder should be")

    with pytest.raises(SourceError, match="to read and write in"):
        here.fetch()


def test_a_stranger_in_the_versioned_folder_is_refused_not_removed(place: MakePlace) -> None:
    here = place()
    here.into.mkdir(parents=True)
    (here.into / "notes.txt").write_text("mine")

    with pytest.raises(SourceError, match=r"notes\.txt"):
        here.fetch()
    assert here.left() == ["cta", "cta/notes.txt"]


def test_a_new_format_takes_the_place_of_the_old_file(place: MakePlace, tmp_path: Path) -> None:
    place().fetch()
    here = place("parquet")
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "x.parquet")
    here.fetch(from_file=tmp_path / "x.parquet")

    assert here.left() == ["cta", "cta/received.parquet"]


def parquet() -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame({"x": range(1000)}).to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("declared", "body", "found"),
    [
        ("csv", gzip.compress(CSV), "csv.gz"),
        ("csv", b"", "an empty file"),
        ("csv", PAGE, "a page"),
        ("csv", CSV.decode().encode("utf-16"), "some binary format"),
        ("csv.gz", CSV, "csv"),
        ("csv.gz", gzip.compress(CSV)[:-9], "a truncated or damaged gzip file"),
        ("parquet", CSV, "csv"),
        ("parquet", parquet()[:-50], "a truncated Parquet file"),
        ("csv", parquet(), "parquet"),
    ],
    ids=shown,
)
def test_the_format_is_known_by_the_bytes(
    place: MakePlace, tmp_path: Path, declared: str, body: bytes, found: str
) -> None:
    (tmp_path / "given").write_bytes(body)
    here = place(declared)

    with pytest.raises(SourceError, match=rf"a {declared} file .*\nfound: +{found}[ ,]"):
        here.fetch(from_file=tmp_path / "given")
    assert here.left() == []


def test_the_sample_is_written_the_same_each_time(tmp_path: Path, root: Path) -> None:
    sample = dataset_only(root, "sample")
    first = fetch(sample, tmp_path / "raw", tmp_path / "m.json", root)
    again = fetch(sample, tmp_path / "raw", tmp_path / "m.json", root)

    assert first.file.read_bytes().startswith(b"service_date,day_type,bus,rail,total_rides\n2018-01-01,U,")
    assert first.file.read_bytes().count(b"\n") == 2192
    assert (first.changed, again.changed) == (True, False)
    assert first.origin.startswith("simulated")


def read(tmp_path: Path, here: Place, body: bytes) -> pd.DataFrame:
    (tmp_path / "file").write_bytes(body)
    return rows(tmp_path / "file", here.dataset.read)


def test_rows_keep_order_text_and_whole_numbers(place: MakePlace, tmp_path: Path) -> None:
    body = b"\xef\xbb\xbfservice_date,day_type,bus\r\n01/02/2001,NA,7\r\n\r\n01/01/2001,W,\r\n01/01/2001,W,\r\n"
    frame = read(tmp_path, place(), body)

    assert frame["service_date"].tolist()[0::2] == ["01/02/2001", "01/01/2001"]
    assert frame["day_type"].iloc[0] == "NA"
    assert frame.isna().all(axis=1).tolist() == [False, True, False, False]
    assert list(frame.index) == [0, 1, 2, 3]
    assert read(tmp_path, place(), CSV)["bus"].dtype == "int64"


def test_packed_csv_and_parquet_are_read_too(place: MakePlace, tmp_path: Path) -> None:
    assert len(read(tmp_path, place("csv.gz"), gzip.compress(NEWER))) == 2
    assert len(read(tmp_path, place("parquet"), parquet())) == 1000


def test_an_index_that_pandas_wrote_counts_rows_or_is_columns(place: MakePlace, tmp_path: Path) -> None:
    made = pd.DataFrame({"bus": [1, 2, 3]}, index=[0, 0, 1])
    for index, columns in ((made.index, ["bus"]), (made.index.rename("service_date"), ["service_date", "bus"])):
        buffer = io.BytesIO()
        made.set_axis(index).to_parquet(buffer)
        frame = read(tmp_path, place("parquet"), buffer.getvalue())
        assert list(frame.columns) == columns
        assert list(frame.index) == [0, 1, 2]


def test_compact_dates_and_padded_names_stay_text(root: Path, tmp_path: Path) -> None:
    plain = dataset_only(root, "cta_stations").read.model_dump()
    stations = dataset_only(root, "cta_stations").read.model_validate(plain | {"format": "csv"})
    (tmp_path / "file").write_bytes(b"station_id,date,rides\n007,20010101,5\n")

    assert rows(tmp_path / "file", stations).iloc[0].tolist() == ["007", "20010101", 5]


@pytest.mark.parametrize(
    ("read_format", "body", "found"),
    [
        ("csv", b"a,b\n1,2\n1,2,3\n", "line 3"),
        ("csv", b"a,b\n1,2,3\n", "2 names for 3 fields"),
        ("csv", b"\n", "No columns"),
        ("csv", b"a,b\n\xff\xfe,2\n", "can't decode"),
        ("csv.gz", gzip.compress(CSV)[:-9], "end-of-stream"),
        ("parquet", CSV, "Parquet"),
    ],
    ids=shown,
)
def test_what_can_not_be_read_is_named(
    place: MakePlace, tmp_path: Path, read_format: str, body: bytes, found: str
) -> None:
    with pytest.raises(SourceError, match=f"(?s){found}"):
        read(tmp_path, place(read_format), body)


def test_the_real_boardings_are_read_with_their_duplicates(place: MakePlace, real_data: Path) -> None:
    here = place()
    got = here.fetch(from_file=real_data / "CTA_-_Ridership_-_Daily_Boarding_Totals.csv")
    frame = rows(got.file, here.dataset.read)

    assert len(frame) == 7701
    assert frame.duplicated().sum() == 62
    assert frame.dtypes.astype(str).to_dict() == {
        "service_date": "object",
        "day_type": "object",
        "bus": "int64",
        "rail_boardings": "int64",
        "total_rides": "int64",
    }


def test_the_real_stations_are_read(root: Path, real_data: Path, tmp_path: Path) -> None:
    stations = dataset_only(root, "cta_stations")
    file = real_data / "cta_l_station_entries_daily_2001_2016.parquet"
    got = fetch(stations, tmp_path / "raw", tmp_path / "m.json", root, from_file=file)

    assert got.size == file.stat().st_size
    assert len(rows(got.file, stations.read)) == 814_756
