import json

import pandas as pd
import pytest

from mindgap.errors import UserError
from mindgap.files import read_csv, replacing, write_csv, write_json, write_text


def test_nothing_is_left_behind_by_a_failure(tmp_path):
    target = tmp_path / "table.csv"
    write_text(target, "old")
    with pytest.raises(RuntimeError), replacing(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_suffix_and_mode(tmp_path):
    with replacing(tmp_path / "deep" / "x.npz") as part:
        assert part.suffix == ".npz"
        part.write_bytes(b"1")
    assert (tmp_path / "deep/x.npz").stat().st_mode & 0o444 == 0o444


def test_json_has_no_nan(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", [float("nan")])
    assert not list(tmp_path.iterdir())
    write_json(tmp_path / "x.json", {"é": 0.1})
    assert json.loads((tmp_path / "x.json").read_text()) == {"é": 0.1}


def test_csv_keeps_every_digit(tmp_path):
    value = 0.1 + 0.2
    write_csv(tmp_path / "x.csv", pd.DataFrame({"v": [value]}))
    assert float((tmp_path / "x.csv").read_text().split()[1]) == value


def test_a_table_that_was_cut_off_is_refused(tmp_path):
    whole = pd.DataFrame({"a": [1, 2], "b": [0.5, 0.25]})
    write_csv(tmp_path / "t.csv", whole)
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), whole)
    text = (tmp_path / "t.csv").read_bytes()
    for size in (0, 2, len(text) - 1):
        (tmp_path / "t.csv").write_bytes(text[:size])
        with pytest.raises(UserError, match=r"t\.csv ends in the middle of a line; delete it"):
            read_csv(tmp_path / "t.csv")
