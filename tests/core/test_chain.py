"""Links down to bytes."""

from __future__ import annotations

from daycast.core.chain import Link

FILE = Link("file", "data/raw/cta/received.csv", {"md5": "a"}, "not in DVC's cache")
RUN = Link("run", "p1", {"run_id": "r"}, None, (Link("code", "c"), Link("data", "cta v", {}, None, (FILE,))))


def test_a_chain_tells_every_link_that_is_missing_however_deep() -> None:
    assert list(RUN.broken()) == [FILE]
    above = Link("version", "7", {}, "deleted", (RUN,))
    assert [link.kind for link in above.broken()] == ["version", "file"]
    assert list(Link("code", "c").broken()) == []


def test_a_chain_as_json_nests_its_links() -> None:
    told = RUN.to_json()
    assert (told["kind"], told["name"], told["run_id"], told["missing"]) == ("run", "p1", "r", None)
    assert told["links"][1]["links"] == [
        {"kind": "file", "name": FILE.name, "md5": "a", "missing": "not in DVC's cache", "links": []}
    ]
