import pickle

import numpy as np
import pytest
from safetensors.numpy import save_file

from mindgap.embed.arrays import features, own_arrays, read_array
from mindgap.embed.store import (
    Embeddings,
    check_pairs,
    load_embeddings,
    save_embeddings,
    warn_if_equal,
)
from mindgap.runtime.errors import UserError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3) + 1


def refused(call, *args):
    with pytest.raises(UserError) as error:
        call(*args)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_three_formats_read_alike(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    np.savez(tmp_path / "one.npz", ROWS)
    np.savez(tmp_path / "two.npz", image=ROWS, text=-ROWS)
    save_file({"image": ROWS, "text": -ROWS}, tmp_path / "a.safetensors")
    for name in ("a.npy", "one.npz", "two.npz#image", "a.safetensors#image"):
        np.testing.assert_array_equal(read_array(f"{tmp_path}/{name}"), ROWS)
    assert "name one" in refused(read_array, f"{tmp_path}/two.npz")
    assert "no array called 'imge'" in refused(read_array, f"{tmp_path}/two.npz#imge")


def test_pickles_are_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "trapped"), "w"))

    np.save(tmp_path / "a.npy", np.array([Trap(), 1], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", np.array([Trap(), 1], dtype=object))
    (tmp_path / "b.npy").write_bytes(pickle.dumps([1.0]))
    for name in ("a.npy", "a.npz", "b.npy"):
        assert "pickled Python objects" in refused(read_array, str(tmp_path / name))
    assert not (tmp_path / "trapped").exists()


def test_unreadable_files(tmp_path):
    assert "no such file" in refused(read_array, str(tmp_path / "none.npy"))
    np.save(tmp_path / "cut.npy", ROWS)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:-8])
    assert "cut.npy cannot be read" in refused(read_array, str(tmp_path / "cut.npy"))
    (tmp_path / "text.npy").write_text("1 2 3")
    assert "it is none of them" in refused(read_array, str(tmp_path / "text.npy"))
    np.save(tmp_path / "huge.npy", np.full((3, 2), 1e300))
    files = {"image": f"{tmp_path}/huge.npy", "text": f"{tmp_path}/huge.npy"}
    assert "beyond the range of float32" in refused(own_arrays, files)
    (tmp_path / "x.csv").write_text("1,2")
    assert ".csv cannot be read; give .npy" in refused(read_array, str(tmp_path / "x.csv"))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    assert "real numbers" in refused(read_array, str(tmp_path / "words.npy"))


def test_features_split_into_modalities(tmp_path):
    np.save(tmp_path / "f.npy", np.stack([ROWS, -ROWS]))
    split = features(str(tmp_path / "f.npy"), ["protein", "text"])
    np.testing.assert_array_equal(split.rows["protein"], ROWS)
    np.testing.assert_array_equal(split.rows["text"], -ROWS)
    np.save(tmp_path / "g.npy", ROWS)
    assert "(2, n, d)" in refused(features, str(tmp_path / "g.npy"), ["image", "text"])


def test_own_arrays_of_half_precision_become_float32(tmp_path):
    np.save(tmp_path / "a.npy", ROWS.astype(np.float16))
    rows = own_arrays({"image": f"{tmp_path}/a.npy", "text": f"{tmp_path}/a.npy"}).rows
    assert rows["image"].dtype == np.float32


def nan(rows):
    rows = rows.copy()
    rows[1, 2] = np.nan
    return rows


def zero(rows):
    rows = rows.copy()
    rows[[0, 1, 2, 3]] = 0
    return rows


@pytest.mark.parametrize(
    ("image", "text", "sentence"),
    [
        (ROWS[:3], ROWS, "unpaired lengths (3 image, 4 text rows)"),
        (ROWS, nan(ROWS), "m, text: NaN or infinity in row 1;"),
        (zero(ROWS), ROWS, "m, image: rows 0, 1, 2 and 1 more all zero"),
        (ROWS[:1], ROWS[:1], "m, image: an array of shape (1, 3); expected at least two rows"),
        (ROWS[:0], ROWS[:0], "m, image: an array of shape (0, 3)"),
        (
            ROWS[0],
            ROWS[0],
            "m, image: expected an array of shape (n, d), one row per item, got (3,)",
        ),
        (ROWS[:, :1], ROWS[:, :1], "two rows and two dimensions"),
        (ROWS, ROWS[:, :2], "different dimensions (image 3, text 2)"),
    ],
)
def test_rows_that_no_measure_can_use(image, text, sentence):
    assert sentence in refused(check_pairs, Embeddings({"image": image, "text": text}), "m")


def test_round_trip_and_equal_bytes(tmp_path):
    given = Embeddings(
        {"text": np.concatenate([ROWS, ROWS]), "image": ROWS},
        {"text": np.array([0, 1, 2, 3] * 2)},
        {"model": "m", "modalities": ["text", "image"], "versions": {"a": "1", "b": "2"}},
    )
    for name in ("a", "b"):
        save_embeddings(tmp_path / f"{name}.safetensors", given)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    back = load_embeddings(tmp_path / "a.safetensors")
    assert list(back.rows) == ["text", "image"]
    assert back.about == given.about
    np.testing.assert_array_equal(back.index("text"), given.items["text"])
    np.testing.assert_array_equal(back.index("image"), np.arange(4))
    np.testing.assert_array_equal(back.first("text"), ROWS)
    check_pairs(back, "m")


def test_a_truncated_file_is_named(tmp_path):
    save_embeddings(tmp_path / "a.safetensors", Embeddings({"image": ROWS, "text": ROWS}))
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[:-10])
    assert "delete it and run again" in refused(load_embeddings, tmp_path / "a.safetensors")


def test_equal_rows_are_said_on_the_console(caplog):
    warn_if_equal(Embeddings({"image": ROWS, "text": ROWS[[1, 1, 1]]}), "mine on own")
    assert [r.getMessage() for r in caplog.records if r.levelname == "WARNING"] == [
        "mine on own: all 3 rows of text are equal"
    ]
