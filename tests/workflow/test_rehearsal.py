"""A rehearsal in a copy of the project: a whole one, and one in which four things are broken."""

import sys

import pytest
import yaml

pytestmark = pytest.mark.slow

SMALL = {
    "run": "small",
    "threads": 1,
    "select": {
        "datasets": ["cifar10", "mscoco_val"],
        "models": ["clip_vitb32", "clip_vitb16"],
        "landscapes": ["published"],
        "chapters": [],
        "tasks": [],
        "audits": [],
    },
    "datasets": {
        "cifar10": {"kind": "cifar10", "split": "test"},
        "mscoco_val": {"kind": "mscoco", "split": "val"},
    },
    "models": {
        "clip_vitb32": {
            "kind": "encoder",
            "checkpoint": "openai/clip-vit-base-patch32",
            "datasets": ["mscoco_val"],
        },
        "clip_vitb16": {
            "kind": "encoder",
            "checkpoint": "openai/clip-vit-base-patch16",
            "datasets": ["cifar10"],
        },
    },
    "gap": {"projection": {"methods": ["svd"]}},
}
#: One claim that finds its cell.
CLAIM = {
    "id": "small-gap",
    "paper": "MTG",
    "figure": "Fig 1",
    "class": "extension",
    "statement": "There is a gap.",
    "published": None,
    "evidence": "none",
    "measured": {
        "table": "gap/gap.csv",
        "where": {"model": "clip_vitb32", "dataset": "mscoco_val"},
        "column": "gap",
    },
    "direction": {"above": 0},
    "noop": {"set": 0},
    "why": "a direction",
    "runs": ["small"],
}

#: Call the rehearsal with a member of an archive and a tokenizer missing.
BROKEN = """
import zipfile
from pathlib import Path
from mindgap.rehearsal import standins, play
from mindgap.rehearsal.checkpoints import make_checkpoint

def wrong_member(folder, names):
    standins.captioned.mscoco(folder, names)
    with zipfile.ZipFile(folder / "annotations_trainval2017.zip", "w") as target:
        target.writestr("annotations/captions_val2014.json", "{}")

def no_words(published, folder):
    make_checkpoint(published, folder)
    if "patch16" in str(folder):
        (folder / "tokenizer.json").unlink()

standins.MAKERS["mscoco"] = wrong_member
standins.make_checkpoint = no_words
play.rehearse("small.yaml", Path.cwd(), [])
"""


@pytest.fixture
def small(make_house, tmp_path):
    house = make_house(tmp_path / "house")
    (house.path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    (house.path / "workflow/claims.yaml").write_text(yaml.safe_dump([CLAIM]))
    return house


def test_a_rehearsal_runs_the_graph_on_stand_ins_and_leaves_the_checkout_alone(small):
    before = {p.name for p in small.path.iterdir()}
    said = small.make("rehearse", "CONFIG=small.yaml").stdout
    assert " of " in said and ", 0 failed, 0 wait" in said
    stage = small.path / ".rehearsal/small"
    assert {p.name for p in small.path.iterdir()} == before | {".rehearsal"}
    # Marked wherever a reader looks, and apart from what the run itself would write.
    assert [p.name for p in (stage / "results").iterdir()] == ["rehearsal-small"]
    results = stage / "results/rehearsal-small"
    assert "rehearsal-small" in (results / "scorecard.md").read_text().splitlines()[0]
    assert "rehearsal-small" in (results / "scorecard.html").read_text()
    assert "This is a rehearsal" in (results / "scorecard.rst").read_text()
    assert "small-gap" in (results / "scorecard.csv").read_text()
    assert "REHEARSAL of run small" in (stage / "REHEARSAL.md").read_text()
    for word in ("datasets.", "run: rehearsal-small", "PEAKS OF MEMORY", "CANNOT SHOW"):
        assert word in said
    again = small.make("rehearse", "CONFIG=small.yaml").both
    assert "nothing to be done" in again, "stand-ins are the same each time, so nothing runs again"


def test_what_is_broken_on_purpose_is_named(small):
    lost = {**CLAIM, "id": "misspelt"}
    lost["measured"] = {
        **CLAIM["measured"],
        "where": {"model": "clip_vitb23", "dataset": "mscoco_val"},
    }
    (small.path / "workflow/claims.yaml").write_text(yaml.safe_dump([CLAIM, lost]))
    rules = small.path / "rules/data.smk"
    rules.write_text(
        rules.read_text().replace("mem_mb=memory(8)", "mem_mb=lambda w, attempt: 10 * attempt")
    )
    done = small.run(sys.executable, "-c", BROKEN)
    sentences = [
        "build_pairs mscoco_val: data/mscoco/annotations_trainval2017.zip: captions_val2017.json: "
        "no such file; is this the published archive?",
        "embed_pairs clip_vitb16/cifar10: data/models/openai--clip-vit-base-patch16/main lacks the "
        "files of its tokenizer (such as tokenizer.json)",
        "claim misspelt: gap/gap.csv of run small will have no row with dataset mscoco_val, model "
        "clip_vitb23; correct the row",
        "rule build_pairs asks for 10 MB and took",
    ]
    for sentence in sentences:
        assert sentence in done.stdout
    # The claim is named before the first job, too; and the good one has no cell without its pairs.
    assert sentences[2] in done.stderr
    assert "claim small-gap: gap/gap.csv is not there" in done.stdout
