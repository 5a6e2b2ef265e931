"""Reading a large table: the arithmetic against numbers computed by hand."""

import pytest

from scripts.cost import prices, records


def test_a_sweep_costs_what_came_and_what_is_followed() -> None:
    # The cursor, and two queries for each shard, if there is nothing too
    assert records.sweep_read_units(0, 0) == 1 + 16 * 0.5 * 2
    # 22 entries of 180 bytes in each shard fit in 4 KB, 23 do not
    assert records.sweep_read_units(352, 0) == 1 + 16 * 0.5 * 2 + 352 * 0.5
    assert records.sweep_read_units(353, 0) == 1 + 16 * 0.5 * 3 + 353 * 0.5
    # What is followed is read consistently
    assert records.sweep_read_units(0, 320) == 1 + 16 * 0.5 * 2 + 320


def test_a_page_costs_its_entries_and_their_records() -> None:
    # 100 entries of 330 bytes are 33,000 bytes, nine times 4 KB; each record is half a unit
    assert records.list_read_units() == 4.5 + 50
    assert records.list_read_units(1) == 0.5 + 0.5


def test_what_is_kept_grows_with_the_records() -> None:
    assert records.stored_gb(10_000_000) == pytest.approx(10_000_000 * 1_510 / 1024**3)


def test_the_table_in_the_docs_is_this_arithmetic() -> None:
    from scripts.console import ROOT

    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    items = prices.load().items
    for count in (10, 1_000, 100_000, 10_000_000):
        stored = records.stored_gb(count)
        passed, followed = count // (7 * 24 * 12), count // 1_000
        sweep = records.sweep_read_units(passed, followed)
        month = sweep * 12 * 24 * 30 * items["dynamodb_strong_reads"].price
        kept = stored * items["dynamodb_stored_gb_month"].price
        row = (
            f"| {count:,} | {stored:,.2f} GB | ${kept:,.2f} | {passed:,} | {followed:,} | {sweep:,.0f} | ${month:,.2f}"
            " | 54.5 |"
        )
        assert row in text, row
