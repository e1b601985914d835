import errno
import json
import os

import pandas as pd
import pytest

from mindgap.runtime.errors import UserError
from mindgap.runtime.files import (
    link_advice,
    own_copies,
    read_csv,
    replacing,
    replacing_files,
    write_csv,
    write_json,
    write_text,
)


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


def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path):
    target = tmp_path / "table.csv"
    write_text(target, "old")
    sentence = r"table\.csv cannot be written: No space left on device; make room and run again"
    with pytest.raises(UserError, match=sentence), replacing(target) as part:
        part.write_text("half")
        raise ValueError from OSError(errno.ENOSPC, "No space left on device")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_files_of_a_folder_are_whole_and_the_last_one_comes_last(tmp_path, monkeypatch):
    folder, moved = tmp_path / "model", []
    (folder).mkdir()
    (folder / "mine.txt").write_text("kept")
    (folder / "config.json").write_text("old")
    sentence, last = "model cannot be written: No space left", "model.safetensors"
    with pytest.raises(UserError, match=sentence), replacing_files(folder, last) as part:
        (part / "config.json").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (folder / "config.json").read_text() == "old"
    (tmp_path / ".part-model").mkdir()  # a killed job
    (tmp_path / ".part-model/old.json").write_text("{}")
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (moved.append(b.name), replace(a, b)))
    with replacing_files(folder, last) as part:
        for name in ("model.safetensors", "config.json", "z.json"):
            (part / name).write_text("new")
    assert moved == ["config.json", "z.json", "model.safetensors"]
    assert sorted(p.name for p in folder.iterdir()) == sorted([*moved, "mine.txt"])
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_protected_link_comes_with_advice(tmp_path, monkeypatch):
    path = tmp_path / "results/metrics.json"
    write_text(path, "{}")
    assert link_advice(path) is link_advice(tmp_path / "none") is None
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    assert link_advice(path) is None
    os.link(path, tmp_path / "cached")
    assert "results holds write-protected links into DVC's cache" in link_advice(path)
    path.unlink()
    os.symlink(tmp_path / "cached", path)
    assert "`dvc repro`, or `dvc unprotect" in link_advice(path)


def test_links_into_a_cache_become_files_of_their_own(tmp_path):
    cache, folder = tmp_path / "cache", tmp_path / "files/deep"
    cache.mkdir()
    folder.mkdir(parents=True)
    for name in ("hard", "soft"):
        (cache / name).write_text("kept")
        (cache / name).chmod(0o444)
    os.link(cache / "hard", folder / "hard")
    os.symlink(cache / "soft", folder / "soft")
    (folder / "own").write_text("own")
    assert own_copies(tmp_path / "files") == 2
    for name in ("hard", "soft", "own"):
        assert (folder / name).read_text() == ("own" if name == "own" else "kept")
        (folder / name).write_text("changed")
    assert [p.read_text() for p in cache.iterdir()] == ["kept", "kept"]
    assert own_copies(tmp_path / "files") == own_copies(tmp_path / "none") == 0
