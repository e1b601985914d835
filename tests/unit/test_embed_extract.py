"""The engine: parts, restarts, full memory, failures, shards."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from mindgap.data.pairs import write_pairs
from mindgap.embed.encode import embed_pairs
from mindgap.embed.extract import Work, embed_prompts, extract, shard_range
from mindgap.embed.items import read_items
from mindgap.embed.run import Runner
from mindgap.embed.shards import join_files, sampled
from mindgap.embed.store import load_embeddings, save_embeddings
from mindgap.runtime.errors import UserError

CPU = torch.device("cpu")


class Means:
    """An encoder that is known in closed form: mean colour, and lengths of a text."""

    modalities = ("image", "text")
    dimension = 3
    facts = {"model_type": "means"}  # noqa: RUF012
    most = 10**9  # items that fit into memory
    calls = 0

    def to(self, device):
        return self

    def preprocess(self, modality, value):
        from mindgap.embed.decode import decode_picture

        if modality == "text":
            return [len(value), value.count("a"), 1]
        return np.asarray(decode_picture(value).convert("RGB"), np.float32).mean((0, 1))

    def collate(self, modality, items):
        return {"x": torch.from_numpy(np.stack(items).astype(np.float32))}

    def encode(self, modality, inputs):
        type(self).calls += 1
        if len(inputs["x"]) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inputs["x"]


def colours(n, seed=0):
    return np.random.default_rng(seed).integers(1, 256, (n, 3))


def png(colour):
    stream = io.BytesIO()
    Image.new("RGB", (4, 5), tuple(int(c) for c in colour)).save(stream, "PNG")
    return stream.getvalue()


def write(path, n, bad=(), per_batch=10):
    rows = [
        {
            "id": f"item{i}",
            "image": b"no picture" if i in bad else png(c),
            "text": ["a" * (i % 5 + 1), f"second {i}"],
        }
        for i, c in enumerate(colours(n))
    ]
    chunks = [rows[i : i + per_batch] for i in range(0, n, per_batch)]
    write_pairs(path, [{k: [r[k] for r in chunk] for k in rows[0]} for chunk in chunks])
    return path


@pytest.fixture
def pairs(tmp_path):
    return write(tmp_path / "pairs.parquet", 53)


@pytest.mark.parametrize(("start", "stop", "rows"), [(0, 53, 7), (11, 29, 64), (50, 53, 1)])
def test_a_range_is_read_whatever_the_row_groups(pairs, start, stop, rows):
    blocks = list(read_items(pairs, ["id"], start, stop, rows))
    assert [i for block in blocks for i in block["id"]] == [f"item{i}" for i in range(start, stop)]
    assert all(len(block["id"]) == rows for block in blocks[:-1])


def test_a_missing_modality_is_named(pairs):
    with pytest.raises(UserError, match=r"no column 'audio'.*datasets"):
        list(read_items(pairs, ["audio"], 0, 5, 2))


def test_vectors_are_the_encoders_in_order(pairs):
    found = embed_pairs(Means(), pairs, Work(batch_size=8, part_items=20), CPU)
    np.testing.assert_array_equal(found.rows["image"], colours(53))
    np.testing.assert_array_equal(found.rows["text"][:, 0], np.arange(53) % 5 + 1)
    assert not found.items


def test_all_captions_keep_their_item(pairs):
    found = embed_pairs(Means(), pairs, Work("all", 8, part_items=20), CPU)
    np.testing.assert_array_equal(found.items["text"], np.repeat(np.arange(53), 2))
    assert "image" not in found.items


def test_a_full_memory_halves_the_batch_and_changes_nothing(pairs, caplog):
    whole = embed_pairs(Means(), pairs, Work(batch_size=32), CPU)
    small = Means()
    small.most = 5
    with caplog.at_level("INFO"):
        found = embed_pairs(small, pairs, Work(batch_size=32), CPU)
    for modality, rows in whole.rows.items():
        np.testing.assert_array_equal(found.rows[modality], rows)
    assert "cpu is full: batches of 16" in caplog.text
    assert "cpu is full: batches of 4 " in caplog.text
    small.most = 0
    with pytest.raises(UserError, match="one image does not fit"):
        embed_pairs(small, pairs, Work(batch_size=2), CPU)


def test_other_errors_are_not_taken_for_a_full_memory(pairs):
    class Broken(Means):
        def encode(self, modality, inputs):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        embed_pairs(Broken(), pairs, Work(), CPU)


def test_vectors_of_another_shape_are_a_defect():
    encoder = Means()
    encoder.dimension = 4
    with pytest.raises(AssertionError, match="in place of"):
        Runner(encoder, CPU, "float32")("image", {"x": torch.zeros(2, 3)})


def test_what_cannot_be_decoded_is_listed_and_the_rest_stays_paired(tmp_path):
    bad = {0, 21, 22, 40}
    pairs = write(tmp_path / "p.parquet", 53, bad)
    found = embed_pairs(Means(), pairs, Work("all", 8, part_items=20), CPU)
    good = [i for i in range(53) if i not in bad]
    np.testing.assert_array_equal(found.items["image"], good)
    np.testing.assert_array_equal(found.items["text"], np.repeat(good, 2))
    np.testing.assert_array_equal(found.rows["image"], colours(53)[good])
    failures = found.about["failures"]
    assert [f["row"] for f in failures] == sorted(bad)
    assert failures[1]["id"] == "item21"
    assert all("not a readable picture" in f["reason"] for f in failures)


def test_a_set_of_which_nothing_can_be_decoded_is_refused(tmp_path):
    pairs = write(tmp_path / "p.parquet", 6, set(range(6)))
    with pytest.raises(UserError, match="none of 6 items can be embedded, the first is item0"):
        embed_pairs(Means(), pairs, Work(), CPU)


def run_parts(pairs, folder, key="k", encoder=None):
    return extract(
        encoder or Means(), pairs, 0, 53, Work("first", 8, part_items=20), CPU, folder, key
    )


def test_finished_parts_are_not_made_again(pairs, tmp_path):
    first, _ = run_parts(pairs, tmp_path / "parts")
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == [
        f"{i:05d}.safetensors" for i in range(3)
    ]
    (tmp_path / "parts/00001.safetensors").unlink()
    Means.calls = 0
    again, _ = run_parts(pairs, tmp_path / "parts")
    assert Means.calls == 3 + 1  # three batches of pictures, one of five different texts
    for modality, rows in first.rows.items():
        np.testing.assert_array_equal(again.rows[modality], rows)


def test_parts_of_another_run_and_damaged_ones_are_made_again(pairs, tmp_path):
    run_parts(pairs, tmp_path / "parts", "old")
    Means.calls = 0
    run_parts(pairs, tmp_path / "parts", "new")
    assert Means.calls == 8 + 3
    file = tmp_path / "parts/00002.safetensors"
    file.write_bytes(file.read_bytes()[:40])
    Means.calls = 0
    run_parts(pairs, tmp_path / "parts", "new")
    assert Means.calls == 2 + 1


def test_ranges_hold_every_row_once():
    ranges = [shard_range(53, k, 7) for k in range(7)]
    assert [r for low, high in ranges for r in range(low, high)] == list(range(53))
    assert {high - low for low, high in ranges} == {7, 8}


def make_shards(pairs, folder, shards, n=53):
    files = []
    for k in range(shards):
        low, high = shard_range(n, k, shards)
        found, failures = extract(
            Means(), pairs, low, high, Work("all", 8), CPU, folder / f"parts{k}", "k"
        )
        about = {"modalities": ["image", "text"], "rows": [low, high], "failed": len(failures)}
        files.append(folder / f"{k}.safetensors")
        save_embeddings(files[-1], type(found)(found.rows, found.items, about))
    return files


@pytest.mark.parametrize("bad", [set(), {5, 30, 52}])
def test_joined_shards_are_the_whole(tmp_path, bad):
    pairs = write(tmp_path / "p.parquet", 53, bad)
    whole = embed_pairs(Means(), pairs, Work("all", 8), CPU)
    counts = join_files(make_shards(pairs, tmp_path, 4), tmp_path / "joined.safetensors")
    joined = load_embeddings(tmp_path / "joined.safetensors")
    assert counts == {"image": 53 - len(bad), "text": 2 * (53 - len(bad))}
    assert joined.about["rows"] == [0, 53]
    assert joined.about["failed"] == len(bad)
    assert set(joined.items) == set(whole.items)
    for modality, rows in whole.rows.items():
        np.testing.assert_array_equal(joined.rows[modality], rows)
        np.testing.assert_array_equal(joined.index(modality), whole.index(modality))


def test_a_large_set_is_joined_as_an_even_sample(tmp_path):
    pairs = write(tmp_path / "p.parquet", 53)
    join_files(make_shards(pairs, tmp_path, 4), tmp_path / "j.safetensors", most=10)
    joined = load_embeddings(tmp_path / "j.safetensors")
    items = joined.items["image"]
    assert len(items) == 10
    assert set(np.diff(items)) <= {5, 6}
    np.testing.assert_array_equal(joined.rows["image"], colours(53)[items])
    np.testing.assert_array_equal(joined.items["text"], np.repeat(items, 2))
    assert joined.about["sampled"] == 10
    assert sampled(np.arange(1000), 1000, 7).sum() == 7


def test_shards_of_different_runs_are_not_joined(tmp_path):
    files = make_shards(write(tmp_path / "p.parquet", 53), tmp_path, 2)
    found = load_embeddings(files[1])
    save_embeddings(files[1], found, {"precision": "bfloat16"})
    with pytest.raises(UserError, match="differ in precision"):
        join_files(files, tmp_path / "j.safetensors")


def test_different_texts_with_one_vector_are_refused(tmp_path):
    class Same(Means):
        def encode(self, modality, inputs):
            return torch.ones(len(inputs["x"]), 3)

    with pytest.raises(UserError, match="maps all 2 different texts to one vector"):
        embed_prompts(Same(), ["a", "b"], Work(), CPU)
    assert embed_prompts(Same(), ["a", "a"], Work(), CPU).shape == (2, 3)
