"""The one row in which a codebook is compared with others."""

import pandas as pd
import pytest

from mindgap.codebook import summary


def test_recall_is_the_mean_of_both_ways_and_of_all_sets():
    final = pd.DataFrame([{"vector": "final"} | dict.fromkeys(summary._GEOMETRY, 0.5)])
    sets = [(0.2, 0.1, 4.0), (0.6, 0.3, 8.0)]  # of two random sets: a to b, b to a, median rank
    retrieval = pd.DataFrame(
        [
            {"vector": "final", "level": "item", "median_rank_ab": rank, "median_rank_ba": 1.0}
            | {f"recall_at_{k}_ab": ab for k in (1, 5, 10)}
            | {f"recall_at_{k}_ba": ba for k in (1, 5, 10)}
            for ab, ba, rank in sets
        ]
    )
    row = summary.wide_row(final, retrieval)
    assert row["recall_at_1_ab"] == pytest.approx(0.4)
    assert row["recall_at_1_ba"] == pytest.approx(0.2)
    assert row["recall_at_1"] == pytest.approx(0.3)
    assert row["median_rank_ab"] == 6
