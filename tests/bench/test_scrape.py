"""The scrape's benchmark makes the series that it is asked for."""

from __future__ import annotations

from smokestack.engine.clock import sleep_ns
from smokestack.server.bench import paths, scrape


def test_the_figures_are_of_as_many_series_as_wanted() -> None:
    result = scrape.run(series=2_000, turns=1)
    assert 2_000 <= result["series"] <= 2_900
    assert 0 < result["border_held_ms"] < result["first_scrape_ms"]
    assert result["bytes"] > result["series"]


def test_the_border_measures_the_longest_change() -> None:
    border = scrape.MeteredBorder()
    with border.change():
        sleep_ns(20_000_000)
    with border.change():
        pass
    assert border.held_ns >= 20_000_000


def test_paths_are_all_busy_while_they_are_scraped() -> None:
    size = paths.Size(hosts=2, devices=3, warm_ns=20_000_000, ios=2_000)
    result = paths.run(size)
    assert result["paths"] == result["busy_paths"] == 24
    assert 0 < result["built_rss_mib"] <= result["peak_rss_mib"]
    assert result["probed_series"] > result["series"] > 1_000
    assert result["held_ms"] > 0
    assert result["scraped_ratio"] > 0
