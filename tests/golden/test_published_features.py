"""Every number known of the published feature files, to its printed digits.

References: recomputed twice, independently, from the authors' files (commit 8e20cb24); float64, unit
rows, self-pairs left out. R@1 of untrained CLIP is also printed in the authors' notebook.
"""

from functools import cache

import pytest

from mindgap.api.decision import KNOWN_GAPS
from mindgap.config import read_yaml
from mindgap.embed.arrays import features
from mindgap.gap.measures import measure_gap
from mindgap.runtime.files import sha256

COLUMNS = (
    "n d gap distance_matched cosine_a cosine_b cosine_matched cosine_all relative_gap alignment "
    "uniformity_a uniformity_b effective_rank_a effective_rank_b recall_at_1_ab recall_at_1_ba "
    "norm_a norm_b centroid_cosine cosine_unmatched pc1_share singular_1 singular_2"
).split()

TABLE = """
clip 500 512 .8514 1.1745 .5315 .5152 .3099 .1619 .5915 1.3802 -1.7945 -1.8409 104.6 96.9 .552 .506
  .7297 .7184 .3088 .1616 .280 18.612 13.564
clip_random 500 512 1.1361 1.3938 .6814 .6635 .0285 .0278 .7478 1.9429 -.9099 -1.3080 3.4 92.1 .002 .002
  .8259 .8149 .0413 .0278 .503 18.873 18.021
convirt 500 512 .8231 1.2162 .7641 .1316 .2552 .1102 .5743 1.4896 -.7844 -2.6680 6.3 17.7 .006 .022
  .8744 .3651 .3453 .1099 .261 20.315 12.175
convirt_random 500 512 1.4030 1.4393 .9956 .9011 -.0358 -.0358 .9525 2.0716 -.0175 -.3885 227.7 69.5 .002 .000
  .9978 .9494 -.0377 -.0358 .905 22.448 21.091
videoclip 100 768 1.0669 1.3477 .6889 .4947 .0915 .0268 .6900 1.8169 -1.2101 -1.9310 58.8 51.5 .370 .240
  .8319 .7069 .0455 .0261 .416 8.356 7.096
videoclip_random 100 768 .9544 1.2712 .4440 .8402 .1916 .1903 .6931 1.6167 -2.1109 -.6267 55.6 47.8 .000 .010
  .6705 .9175 .3093 .1903 .395 9.600 6.174
clasp 99 768 1.0447 1.3265 .6072 .7050 .1196 .1139 .7191 1.7608 -1.3469 -.9611 22.5 13.5 .030 .000
  .7818 .8414 .1731 .1138 .464 8.876 7.445
clasp_random 99 768 1.2893 1.2893 1.0000 1.0000 .1689 .1689 1.0000 1.6623 -.0001 -.0002 7.9 2.9 .010 .010
  1.0000 1.0000 .1689 .1689 .9999 10.757 9.071
"""

ROWS = [line.split() for line in TABLE.replace("\n  ", " ").strip().splitlines()]


@pytest.fixture(scope="module")
def measure(published):
    @cache
    def measure_file(name):
        row, _ = measure_gap(
            features(str(published(f"features_{name}.npy")), ["image", "text"]),
            "image",
            "text",
            bootstrap=100,
            confidence=0.95,
            folds=5,
            max_pairs=1000,
            bins=100,
            seed=0,
        )
        return row

    return measure_file


def half_unit(text):
    """Half a unit of the last printed digit, and a hair for values that end in a five."""
    decimals = len(text.partition(".")[2])
    return 0.5 * 10**-decimals * 1.02


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_golden_table(measure, row):
    name, *values = row
    assert len(values) == len(COLUMNS)
    measured = measure(name)
    for column, text in zip(COLUMNS, values, strict=True):
        assert abs(measured[column] - float(text)) <= half_unit(text), (column, text)


#: Smallest a and largest b along the gap, where they are known.
ALONG = {"clip": (0.230, -0.186), "convirt": (0.657, 0.354)}


@pytest.mark.parametrize("name", [row[0] for row in ROWS])
def test_clouds_never_overlap_along_the_gap(measure, name):
    row = measure(name)
    assert row["along_gap_min_a"] > row["along_gap_max_b"]
    assert row["separability"] >= 0.99
    if name in ALONG:
        assert row["along_gap_min_a"] == pytest.approx(ALONG[name][0], abs=5e-4)
        assert row["along_gap_max_b"] == pytest.approx(ALONG[name][1], abs=5e-4)


@pytest.mark.parametrize(("name", "distinct"), [("clip", 500), ("convirt", 443)])
def test_repeated_rows_are_counted(measure, name, distinct):
    assert measure(name)["distinct_b"] == distinct


def test_what_is_shipped_is_what_the_table_of_sources_says(root):
    folder = root / "resources/mind-the-gap-features"
    sums = dict(line.split()[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    files = read_yaml(root / "workflow/sources.yaml")["mind-the-gap-features"]["files"]
    assert sorted(sums) == sorted(path.name for path in folder.glob("*.npy"))
    assert len(sums) == 6
    assert not any("convirt" in name for name in sums)
    for name, expected in sums.items():
        assert expected == files[name]["sha256"] == sha256(folder / name)


@pytest.mark.parametrize("model", KNOWN_GAPS)
def test_known_gaps_are_those_of_the_files(measure, model):
    name = model.partition(" ")[0].lower()
    assert abs(measure(name)["gap"] - KNOWN_GAPS[model]) <= 0.0005
