"""Stand-ins: each is read by the code that reads the real one; the overlay and the findings."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.config import merge, read_yaml
from mindgap.config.run import Run
from mindgap.data.definitions import describe, sources
from mindgap.data.kinds import KINDS
from mindgap.data.sets import build_pairs
from mindgap.data.sources import find_source
from mindgap.embed.encode import embed_pairs, make_encoder
from mindgap.embed.extract import Work
from mindgap.embed.fetch import fetch_checkpoint
from mindgap.rehearsal import standins
from mindgap.rehearsal.checkpoints import CHECKPOINTS, find_published, make_checkpoint
from mindgap.rehearsal.made import caption
from mindgap.rehearsal.review import find_failed, find_lost, find_short
from mindgap.rehearsal.sizes import CAPS, nested, shrink
from mindgap.rehearsal.stage import cast, forget_other, with_accounts
from mindgap.report.dry import Job
from mindgap.report.present import present
from mindgap.report.tables import Tables
from mindgap.runtime.errors import UserError
from tests.samples import given

#: Options of each published kind that a run of ours asks for, besides its split.
MORE = {
    "mnist_fsdd": {"test_speakers": ["theo"], "pairing_seed": 0},
    "spoken_scenes": {
        "scenes": 40,
        "scene_seed": 0,
        "validation_speaker": "yweweler",
        "test_speaker": "theo",
    },
}
PUBLISHED = [
    k
    for k, kind in KINDS.items()
    if kind.reader and k not in ("folder", "webdataset", "huggingface")
]


@pytest.fixture(scope="module")
def paper(root):
    return given("paper")


@pytest.fixture(scope="module")
def table(root):
    return read_yaml(root / "workflow/sources.yaml")


def definitions(kind):
    """Each split of a kind."""
    from mindgap.config.datasets import KINDS as TYPES

    (fields,) = [
        t.model_fields for t in TYPES if t.model_fields["kind"].annotation.__args__[0] == kind
    ]
    splits = fields["split"].annotation.__args__ if "split" in fields else [None]
    return [{"kind": kind, **MORE.get(kind, {}), **({"split": s} if s else {})} for s in splits]


@pytest.mark.parametrize("kind", PUBLISHED)
def test_every_published_set_has_a_stand_in_that_its_reader_reads(
    kind, root, tmp_path, monkeypatch, table
):
    """Every split: nothing fails but what is odd in the published files, and captions differ."""
    monkeypatch.chdir(tmp_path)
    wanted = {place for definition in definitions(kind) for place in sources(definition)}
    for source in {source for source, _ in wanted}:
        standins.MAKERS[source](Path("data", source), {n for s, n in wanted if s == source})
    prompts = read_yaml(root / "workflow/prompts.yaml").get(kind)
    for definition in definitions(kind):
        counts = build_pairs("out.parquet", definition, "bad.csv", describe(definition), prompts)
        failed = pd.read_csv("bad.csv")
        assert counts["items_out"] >= (
            8 if definition.get("split") in ("validate", "val", "train") else 32
        ), definition
        odd = ["2258277193_586949ec62.jpg.1"] if kind == "flickr8k" else []
        assert set(failed["name"]) <= set(odd), failed
    restated = standins.restate_sources(table, Path("data"))
    for place in wanted:
        source = find_source(restated, *place)
        assert Path("data", *place).is_dir() or source.bytes == Path("data", *place).stat().st_size


def test_captions_do_not_repeat():
    assert len({caption(k) for k in range(900)}) == 900


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "shapes.parquet"
    build_pairs(path, {"kind": "shapes", "items": 6, "size": 48, "frames": 4, "seed": 0})
    return path


PAPER = {
    name: model
    for name, model in given("paper")["models"].items()
    if model["kind"] == "encoder" and model.get("weights") != "random"
}


@pytest.mark.parametrize("name", PAPER)
def test_every_checkpoint_of_paper_has_a_stand_in_that_is_fetched_and_embeds(name, tmp_path, pairs):
    """What the run expects of the real checkpoint holds for the stand-in, read by the real code."""
    definition = PAPER[name]
    options = {"modalities": ["image", "text"], "weights": "trained", **definition}
    published, known = find_published(options)
    assert known
    place = tmp_path / "models" / options["checkpoint"].replace("/", "--") / "main"
    make_checkpoint(published, place)
    manifest = tmp_path / "data/main/manifest.json"
    fetch_checkpoint(options["checkpoint"], "main", manifest, str(tmp_path))
    said = json.loads(manifest.read_text())
    assert ("published" in said) == published.pickled
    encoder = make_encoder(options, manifest.parent)
    rows = embed_pairs(encoder, pairs, Work(), torch.device("cpu")).rows
    for modality, vectors in rows.items():
        assert np.isfinite(vectors).all()
        assert np.ptp(vectors, axis=0).max() > 1e-6, modality


def test_a_checkpoint_that_nobody_knows_is_guessed_from_its_modalities():
    options = {
        "checkpoint": "me/mine",
        "modalities": ["audio", "text"],
        "expect": {"max_length": 40},
    }
    published, known = find_published(options)
    assert (published.family, published.context, known) == ("clap", 40, False)
    with pytest.raises(UserError, match="no stand-in embeds video"):
        find_published({"checkpoint": "me/mine", "modalities": ["video"]})


def test_stand_ins_are_the_same_each_time(tmp_path):
    for folder in ("a", "b"):
        for source in ("svhn", "fsdd", "imagenet", "msr-vtt", "cifar10"):
            names = {
                "svhn": {"test_32x32.mat"},
            }.get(source, set())
            standins.MAKERS[source](tmp_path / folder / source, names)
        make_checkpoint(CHECKPOINTS["openai/clip-vit-base-patch32"], tmp_path / folder / "clip")
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) > 8
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


# The overlay


def test_the_overlay_shrinks_sizes_and_nothing_else(paper, root):
    prompts = read_yaml(root / "workflow/prompts.yaml")
    run = Run.resolve(paper, prompts)
    changes = shrink(run.options)
    assert changes["train.trainings.plain.steps"] == CAPS["train.trainings.*.steps"]
    assert changes["codebook.tasks.msr_vtt.codes"] == CAPS["codebook.tasks.*.codes"]
    assert all(isinstance(value, int) for value in changes.values())
    small = Run.resolve(merge(paper, nested(changes)), prompts)
    # The graph is the same: models, trainings, codebooks, tables, figures.
    assert small.results == run.results
    assert list(small.trainings) == list(run.trainings)
    assert list(small.codebooks) == list(run.codebooks)
    assert not shrink(small.options)


def test_a_switch_adds_what_needs_an_account(paper, table):
    select = with_accounts(paper, table)["select"]
    assert {"imagenet", "fairface", "hateful_memes", "flickr30k_test", "mimic_cxr_test"} <= set(
        select["datasets"]
    )
    assert select["codebooks"] == ["msr_vtt", "smit", "places"]
    assert set(paper["select"]["datasets"]) <= set(select["datasets"])


# What is found


def claims(root):
    return [c for c in read_yaml(root / "workflow/claims.yaml") if "paper" in c["runs"]]


def test_no_claim_of_paper_is_about_a_row_that_it_cannot_have(paper, table, root):
    wide = Run.resolve(with_accounts(paper, table), read_yaml(root / "workflow/prompts.yaml"))
    tables = Tables(root / "results/none", root / "workflow/reference")
    assert find_lost(claims(root), tables, present(wide), "paper") == []


def test_a_misspelt_row_is_named_before_the_first_job(paper, table, root):
    wide = Run.resolve(with_accounts(paper, table), read_yaml(root / "workflow/prompts.yaml"))
    tables = Tables(root / "results/none", root / "workflow/reference")
    claim = next(c for c in claims(root) if c["measured"]["where"].get("model") == "clip_vitb32")
    where = {**claim["measured"]["where"], "model": "clip_vitb23"}
    wrong = {**claim, "measured": {**claim["measured"], "where": where}}
    (sentence,) = find_lost([wrong], tables, present(wide), "paper")
    assert claim["id"] in sentence and "model clip_vitb23" in sentence
    assert cast([wrong], "paper", "rehearsal-paper")[0]["runs"][-1] == "rehearsal-paper"


def test_a_rule_that_asks_for_too_little_memory_is_named():
    jobs = [Job("measure_gap", {}, resources={"mem_mb": 100}), Job("plot", {})]
    costs = [
        {"rule": "measure_gap", "jobs": 1, "peak_mb": 240.0, "cpu_seconds": 1},
        {"rule": "plot", "jobs": 1, "peak_mb": 900.0, "cpu_seconds": 1},
    ]
    (sentence,) = find_short(costs, jobs)
    assert sentence.startswith("rule measure_gap asks for 100 MB and took 240 MB")
    assert find_short(costs, [Job("measure_gap", {}, resources={"mem_mb": 300})]) == []


def test_failed_jobs_are_told_from_those_that_wait(tmp_path):
    (tmp_path / "done.csv").touch()
    (tmp_path / "bad.log").write_text("12:00:00 start\nerror: no such member\n")
    jobs = [
        Job("a", {"run": "x"}, ("done.csv",), ("good.log",)),
        Job("b", {"run": "x", "dataset": "d"}, ("gone.csv",), ("bad.log",)),
        Job("c", {"run": "x"}, ("later.csv",), ("later.log",)),
    ]
    failed, waiting = find_failed(tmp_path, jobs)
    assert failed == ["b d: no such member (bad.log)"]
    assert waiting == 1


def test_other_stand_ins_start_a_rehearsal_anew(tmp_path):
    (tmp_path / "mirror/a").mkdir(parents=True)
    (tmp_path / "mirror/a/x.zip").write_bytes(b"one")
    for name in ("data", "results"):
        (tmp_path / name).mkdir()
    forget_other(tmp_path)
    assert not (tmp_path / "results").exists(), "nobody knows what these were made from"
    (tmp_path / "results").mkdir()
    forget_other(tmp_path)
    assert (tmp_path / "results").exists()
    (tmp_path / "mirror/a/x.zip").write_bytes(b"two")
    forget_other(tmp_path)
    assert not (tmp_path / "results").exists()
