"""docs/choosing.md: its tables are those of the rules, of platforms.json and of the price file."""

from __future__ import annotations

import re

import pytest

from scripts.choose import document, platforms, tables
from scripts.choose.costs import BACKENDS
from scripts.console import CommandError
from scripts.cost import alternatives
from scripts.cost import prices as price_file

PAGE = tables.PAGE.read_text(encoding="utf-8")


def test_the_page_is_up_to_date() -> None:
    assert tables.with_tables(PAGE) == PAGE, "run `make docs`"


def test_a_marker_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCKS", {"gpu": tables.gpu_prices})
    with pytest.raises(CommandError, match=r"docs/choosing\.md has no lines <!-- BEGIN gpu -->"):
        tables.with_tables(PAGE.replace("<!-- BEGIN gpu -->", ""))


def test_what_is_between_the_markers_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCKS", {"gpu": tables.gpu_prices})
    stale = re.sub(r"(<!-- BEGIN gpu -->\n).*?(<!-- END gpu -->)", r"\1old\n\2", PAGE, flags=re.DOTALL)
    assert "old" in stale.split("BEGIN gpu")[1].split("END gpu")[0]
    assert tables.with_tables(stale) == PAGE


def test_every_platform_has_every_fact_with_a_source_and_a_date() -> None:
    guide = platforms.load()
    assert {row.key for row in guide.rows} >= {
        "memory",
        "longest_run",
        "input",
        "cold_start",
        "kept",
        "idempotent",
        "told",
    }
    assert set(BACKENDS) <= set(guide.platforms)
    sources = []
    for row in guide.rows:
        assert row.of.keys() == guide.platforms.keys(), row.key
        for fact in row.of.values():
            assert fact.text
            assert fact.source.url or not fact.confirmed, f"{row.key}: {fact.text} has no page"
            sources.append(fact.source)
    sources += [statement.source for statement in guide.document]
    for source in sources:
        assert re.fullmatch(r"2026-\d\d-\d\d", source.date), source.title
        assert source.date <= guide.date
    assert set(guide.sources.values()) == set(sources), "each is used"


def test_what_is_not_confirmed_is_marked() -> None:
    compared = list(tables.compared())
    marks = sum(line.count(tables.UNCONFIRMED) for line in compared)
    assert marks == sum(not fact.confirmed for row in platforms.load().rows for fact in row.of.values()) > 0
    wrong = [line for line in tables.wrong() if "256 GB" in line]
    assert len(wrong) == 1
    assert tables.UNCONFIRMED in wrong[0]


def test_each_section_of_the_document_is_looked_at() -> None:
    said = {statement.where for statement in platforms.load().document}
    assert said >= {"43.2.1", "43.2.3", "43.2.7", "43.2.8"}
    for provider in ("Modal", "Replicate", "Beam", "Banana", "RunPod"):
        assert any(provider in s.says for s in platforms.load().document if s.where == "43.2.3"), provider


def test_gpu_prices_are_an_hours() -> None:
    rows = {line.split("|")[1].strip(): line for line in tables.gpu_prices()}
    beam = next(line for name, line in rows.items() if name.startswith("[Beam"))
    # 0.000292 and 4 x 0.0000528 and 16 x 0.0000056, times 3,600
    assert f"| {(0.000292 + 4 * 0.0000528 + 16 * 0.0000056) * 3600:.2f} |" in beam
    runpod = next(name for name in rows if name.startswith("[RunPod"))
    assert runpod.endswith("(?)"), "not confirmed"


def test_where_instances_cost_less_is_computed() -> None:
    for ms in (20.0, 2000.0):
        for peak in document.PEAKS:
            for start, _ in document.instance_costs_less(ms, peak)[:1]:
                assert document.instance(start * 1.001, ms, peak) < document.stack(start * 1.001, ms, peak)
                assert document.instance(start * 0.999, ms, peak) > document.stack(start * 0.999, ms, peak)
    assert document.instance_costs_less(2000, 3) == []


def test_the_documents_table_is_beside_ours() -> None:
    rows = list(tables.traffic())[2:]
    assert len(rows) == len(document.TABLE)
    for row, line in zip(rows, document.TABLE, strict=True):
        assert f"| {line.per_day:,.0f} | ${line.serverful:,.0f} | ${line.serverless:,.0f} | {line.winner} |" in row
    idle = rows[0].split("|")
    assert float(idle[5].strip(" $")) == pytest.approx(document.stack(0, 20), abs=0.005)
    assert document.stack(0, 20) == document.stack(0, 500), "nobody calls"


def test_littles_law_beside_the_documents() -> None:
    text = "\n".join(tables.littles_law())
    assert "| 200 | 200; 600 at a peak of 3 |" in text
    # a million of 2 s: GB-s x 0.0000166667, and 0.20 of invocations
    assert f"{1e6 * 2 * 128 / 1024 * 0.0000166667 + 0.2:.2f} at 128 MB" in text
    assert f"{1e6 * 2 * 3008 / 1024 * 0.0000166667 + 0.2:.2f} at 3,008 MB" in text
    assert not document.needs_quota(4.9)
    assert document.needs_quota(5.1)


def test_an_instance_is_one_of_the_price_file() -> None:
    found = price_file.load()
    assert document.instance(1, 20) == found.instance.per_month
    assert alternatives.ASSUMED_UTILISATION < 1
