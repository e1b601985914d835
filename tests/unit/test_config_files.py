"""What is refused before the first job: files, folders, devices, and names that are taken."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mindgap.config import read_yaml
from mindgap.config.files import file_problems, name_problems
from mindgap.data.headers import array_header
from mindgap.runtime.errors import UserError
from tests.checkpoints import FAMILIES, make_checkpoint
from tests.samples import resolve

ROWS = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)


@pytest.fixture
def problems(root, tmp_path, monkeypatch):
    """Sentences about an overlay whose files lie in the current folder."""
    table = read_yaml(root / "workflow/sources.yaml")
    monkeypatch.chdir(tmp_path)

    def of(overlay):
        select = {"datasets": [], "chapters": [], "landscapes": ["full"], "tasks": [], "audits": []}
        select |= overlay.pop("select", {"models": ["mine"]})
        return list(file_problems(resolve({"select": select, **overlay}), table))

    return of


def arrays(image=ROWS, text=ROWS + 1, **more):
    np.save("image.npy", image)
    np.save("text.npy", text)
    files = {"image": "image.npy", "text": "text.npy"}
    return {"models": {"mine": {"kind": "arrays", "modalities": files, **more}}}


def test_good_arrays_are_accepted(problems):
    np.save("labels.npy", np.zeros(60, int))
    assert problems(arrays(labels="labels.npy")) == []
    save_file({"image": ROWS, "text": ROWS}, "both.safetensors")
    np.savez("both.npz", image=ROWS, text=ROWS.astype(np.float64))
    for file in ("both.npz", "both.safetensors"):
        files = {name: f"{file}#{name}" for name in ("image", "text")}
        assert problems({"models": {"mine": {"kind": "arrays", "modalities": files}}}) == []


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: arrays(image=ROWS[:, :1]), "mine.modalities.image: image.npy has one column"),
        (lambda: arrays(image=ROWS[0]), "image.npy has the shape (4,) and the type <f4; give real"),
        (lambda: arrays(image=ROWS.astype(str)), "the type <U"),
        (
            lambda: arrays(text=np.where(np.arange(len(ROWS))[:, None] == 5, np.nan, ROWS)),
            "mine.modalities.text: text.npy: NaN or infinity in row 5",
        ),
        (
            lambda: arrays(text=np.where(np.arange(len(ROWS))[:, None] < 2, 0, ROWS)),
            "mine.modalities.text: text.npy: rows 0, 1 all zero",
        ),
        (lambda: arrays(image=ROWS[:3], text=ROWS[:3]), "has 3 rows; at least 4 pairs are needed"),
        (
            lambda: arrays(image=ROWS[:50]),
            "modalities: the shapes differ (image: (50, 4), text: (60",
        ),
        (
            lambda: (
                arrays()
                | {"select": {"models": ["mine"], "landscapes": ["full", "published"]}}
                | {"shift": {"landscapes": {"published": {"batch": 61}}}}
            ),
            "shift.landscapes.published.batch: 61 is more than the 60 pairs of mine on own",
        ),
        (
            lambda: {
                "models": {"mine": {"kind": "arrays", "modalities": {"image": "x", "text": "x"}}}
            },
            "image and text name the same array",
        ),
        (
            lambda: {
                "models": {
                    "mine": {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
                }
            },
            "mine.modalities.image: a.npy does not exist (relative paths start at ",
        ),
        (
            lambda: arrays(labels="image.npy"),
            "mine.labels: its shape is (60, 4), but it must be that of",
        ),
    ],
)
def test_arrays_are_judged_by_their_headers(problems, make, sentence):
    said = problems(make())
    assert [line for line in said if sentence in line], said
    assert all("\n" not in line for line in said)


def test_headers_are_read_without_the_arrays(tmp_path):
    np.save(tmp_path / "a.npy", ROWS)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:200])
    assert array_header(str(tmp_path / "cut.npy")) == ((60, 4), "<f4")
    for name, data in (("b.npy", b"no array"), ("c.npz", b"PK"), ("d.safetensors", b"\xff" * 9)):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match="cannot be read as"):
            array_header(str(tmp_path / name))
    np.savez(tmp_path / "two.npz", a=ROWS, b=ROWS)
    with pytest.raises(UserError, match=r"holds 2 arrays \(it has: a, b\); name one"):
        array_header(str(tmp_path / "two.npz"))
    with pytest.raises(UserError, match=r"files ending in nothing are not read; give .npy"):
        array_header(str(tmp_path / "none"))


def folder(*names, **config):
    os.makedirs("mine", exist_ok=True)
    with open("mine/config.json", "w") as stream:
        json.dump(config or {"model_type": "clip"}, stream)
    for name in names:
        open(f"mine/{name}", "w").close()
    return {
        "models": {"mine": {"kind": "encoder", "folder": "mine"}},
        "select": {"models": ["mine"], "datasets": ["digits"]},
    }


PARTS = ("tokenizer.json", "preprocessor_config.json", "model.safetensors")


def test_a_whole_checkpoint_is_accepted(problems):
    assert problems(folder(*PARTS)) == []


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: folder(*PARTS[1:]), "mine has no files of a tokenizer (tokenizer.json"),
        (lambda: folder(PARTS[0], PARTS[2]), "mine has no files of an image processor"),
        (lambda: folder(*PARTS[:2]), "mine has no weights; save them as model.safetensors"),
        (
            lambda: folder(*PARTS[:2], "pytorch_model.bin"),
            "its weights as a pickle alone, which can run code",
        ),
        (lambda: folder(*PARTS, other=1), "mine/config.json names no model_type"),
    ],
)
def test_what_a_checkpoint_lacks_is_never_invented(problems, make, sentence):
    (said,) = problems(make())
    assert said.startswith("config: models.mine.folder: ") and sentence in said


@pytest.mark.parametrize("family", FAMILIES)
def test_checkpoints_of_every_family_are_accepted(problems, family):
    """What save_pretrained leaves is whole, whatever the files of its tokenizer are called."""
    make_checkpoint(family, Path("mine"))
    mine = {"kind": "encoder", "folder": "mine", "modalities": list(FAMILIES[family])}
    select = {"models": ["mine"], "datasets": ["shapes"]}
    assert problems({"models": {"mine": mine}, "select": select}) == []


def test_all_problems_of_files_are_told(problems):
    overlay = folder("pytorch_model.bin")
    overlay["datasets"] = {
        "own": {"kind": "folder", "media": "none", "modality": "image", "table": "t.csv"}
    }
    overlay["select"]["datasets"] = ["own"]
    with open("t.csv", "w") as stream:
        stream.write("file,text\n")
    said = problems(overlay)
    for part in (
        "tokenizer",
        "image processor",
        "pickle",
        "none does not exist",
        "t.csv has no rows",
    ):
        assert sum(part in line for line in said) == 1, part
    assert "datasets.own.table: t.csv has no rows below its header" in " ".join(said)


def test_a_device_that_is_not_here_is_refused(problems, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr("sys.argv", ["snakemake"])
    monkeypatch.setattr("pathlib.Path.exists", lambda path: str(path) not in ("/dev/nvidia0",))
    said = problems({**arrays(), "device": "cuda:1"})
    assert "config: device: cuda:1, but this machine has no NVIDIA GPU; set device: auto" in said
    monkeypatch.setattr("sys.argv", ["snakemake", "--workflow-profile", "profiles/slurm"])
    assert not any("device" in line for line in problems({**arrays(), "device": "cuda"}))


def test_own_copies_must_be_files_of_the_set(problems):
    def coco(**files):
        sets = {"coco": {"kind": "mscoco", "split": "val", "files": files}}
        return {
            "datasets": sets,
            "models": TINY,
            "select": {"models": ["tiny"], "datasets": ["coco"]},
        }

    said = problems(coco(**{"val2014.zip": "x"}))
    assert any("has no file 'val2014.zip' (did you mean 'val2017.zip'?)" in line for line in said)
    said = problems(coco(**{"val2017.zip": "data/x.zip"}))
    assert any(
        "datasets.coco.files.val2017.zip: data/x.zip does not exist" in line for line in said
    )


TINY = {"tiny": {"kind": "clip", "architecture": "tiny"}}


def test_a_name_belongs_to_its_models_and_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(path="image.npy", **more):
        files = {"image": path, "text": "text.npy"}
        models = {"mine": {"kind": "arrays", "modalities": files, **more}}
        return resolve(
            {"run": "r", "select": {"models": ["mine"], "chapters": []}, "models": models}
        )

    saved = run().options
    other = run("other.npy")
    assert list(name_problems(other, saved)) == [], "no results of the first one yet"
    (tmp_path / "results/r/embeddings/mine").mkdir(parents=True)
    (said,) = name_problems(other, saved)
    assert "config: models.mine: results/r has results of another model of this name" in said
    assert list(name_problems(run(label="Mine", labels="l.npy"), saved)) == []
    assert list(name_problems(other, {})) == []


def test_results_that_cannot_be_written_are_refused(problems, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    said = problems(arrays())
    assert any("cannot be written; change its permissions" in line for line in said)
