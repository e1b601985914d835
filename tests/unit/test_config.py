"""Options of a run: what is accepted, what is refused and with which words, what it resolves to."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from mindgap.cone.plan import some_options
from mindgap.config import Config, merge, parse_config, read_yaml
from mindgap.config.codebook import CodebookOptions, Inputs
from mindgap.config.cone import CloudMeasures, Initialisations, Towers
from mindgap.config.downstream import AuditOptions
from mindgap.config.manual import documents
from mindgap.config.models import ClipModel
from mindgap.config.parse import complete
from mindgap.config.read import read_config
from mindgap.config.run import Run
from mindgap.config.shift import Landscape
from mindgap.config.train import SmallClip, TrainingOptions
from mindgap.runtime.errors import UserError
from tests.samples import given, resolve

FOLDER = {"kind": "folder", "media": "a{b}", "modality": "image", "table": "t"}
ENCODER = {"kind": "encoder", "folder": "x"}


def refused(overlay):
    """Sentences that refuse the default configuration with an overlay."""
    with pytest.raises(UserError) as error:
        resolve(overlay)
    return str(error.value).split("\nerror: ")


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        ({"sede": 1}, "config: unknown key 'sede' (did you mean 'seed'?)"),
        (
            {"gap": {"bootstrp": 1}},
            "config: gap: unknown key 'bootstrp' (did you mean 'bootstrap'?)",
        ),
        (
            {"models": {"vitb32_random": {"batchsize": 8}}},
            "config: models.vitb32_random: unknown key 'batchsize' (did you mean 'batch_size'?)",
        ),
        (
            {"models": {"vitb32_random": {"kind": "clop"}}},
            "config: models.vitb32_random.kind: 'clop' is not known (did you mean 'clip'?)",
        ),
        (
            {"select": {"models": ["vitb32"]}},
            "config: select.models names 'vitb32', which is not defined "
            "(did you mean 'vitb32_random'?)",
        ),
        (
            {"datasets": {"x": {"kind": "shapes", "size": 32, "frames": 2, "seed": 0}}},
            "config: datasets.x: the key 'items' is missing",
        ),
        ({"datasets": {"x": {"items": 3}}}, "config: datasets.x: the key 'kind' is missing"),
        ({"seed": "x"}, "config: seed: must be a whole number, got 'x'"),
        ({"seed": True}, "config: seed: must be a whole number, got True"),
        ({"seed": -1}, "config: seed: must be at least 0, got -1"),
        (
            {"train": {"defaults": {"learning_rate": "1e-3"}}},
            "config: train.defaults.learning_rate: must be a number, got '1e-3'; write it without "
            "quotes and, with an exponent, as 1.0e-03",
        ),
        ({"gap": {"confidence": 1.5}}, "config: gap.confidence: must be below 1, got 1.5"),
        ({"gap": {"confidence": float("nan")}}, "config: gap.confidence: must be finite, got nan"),
        ({"run": "a/b"}, "config: run: 'a/b' is not a name: it must start with a letter or digit"),
        ({"run": "a\n"}, "config: run: 'a\\n' is not a name"),
        ({"run": 123}, "config: run: must be text, got 123; put it in quotes: '123'"),
        ({"device": "gpu"}, "config: device: 'gpu' is not known (known: auto, cpu, mps, cuda"),
        (
            {"datasets": {"x": FOLDER}},
            "config: datasets.x.media: 'a{b}' is empty or has braces, which no path may have",
        ),
        (
            {"datasets": {"$(touch x)": {"kind": "digits"}}},
            "config: datasets.$(touch x): '$(touch x)' is not a name",
        ),
        (
            {"models": {"x; touch y": ENCODER}},
            "config: models.x; touch y: 'x; touch y' is not a name",
        ),
        (
            {"datasets": {"x": {"kind": "mscoco", "split": "test"}}},
            "config: datasets.x.split: 'test' is not known (known: val, train)",
        ),
        (
            {"datasets": {"x": {"kind": "mscocoo", "split": "val"}}},
            "config: datasets.x.kind: 'mscocoo' is not known (did you mean 'mscoco'?)",
        ),
        (
            {"datasets": {"x": {"kind": "webdataset", "shards": "a", "seed": 1}}},
            "config: datasets.x: unknown key 'seed'",
        ),
        (
            {"datasets": {"x": {"kind": "webdataset", "shards": 3}}},
            "config: datasets.x.shards: must be a list, such as [a, b], got 3",
        ),
        (
            {"datasets": {"x": {"kind": "huggingface", "name": "a/b", "split": "t"}}},
            "config: datasets.x: give either name and revision, or path",
        ),
        (
            {"shift": {"landscapes": {"full": {"start": 3, "stop": 2}}}},
            "config: shift.landscapes.full: stop is 2, below start, which is 3; swap them",
        ),
        (
            {"shift": {"landscapes": {"full": {"step": 1e-7}}}},
            "config: shift.landscapes.full: step 1e-07 makes more than 100,000 points",
        ),
        (
            {"downstream": {"shifts": {"step": 1e-7}}},
            "config: downstream.shifts: step 1e-07 makes more than 100,000 points",
        ),
        (
            {"shift": {"inverse_temperatures": [1, 1e30]}},
            "config: shift.inverse_temperatures.1: must be at most 1e+09, got 1e+30",
        ),
        (
            {"shift": {"landscapes": {"full": {"inverse_temperatures": "lerned"}}}},
            "config: shift.landscapes.full.inverse_temperatures: 'lerned' is not known "
            "(did you mean 'learned'?)",
        ),
        (
            {"shift": {"inverse_temperatures": [1, 1]}},
            "config: shift.inverse_temperatures: 1 stands there twice; name it once",
        ),
        (
            {"train": {"trainings": {"plain": {"vary": {"stepz": [1]}}}}},
            "config: train.trainings.plain: vary names 'stepz', which is no option",
        ),
        (
            {"train": {"trainings": {"plain": {"vary": {"steps": ["a"]}}}}},
            "config: train.trainings.plain.steps: must be a whole number, got 'a'",
        ),
        (
            {"train": {"trainings": {"plain": {"batch": 3, "processes": 2}}}},
            "config: train.trainings.plain: a batch of 3 cannot be divided among 2 processes",
        ),
        (
            {"train": {"trainings": {"plain": {"start": "nothing"}}}},
            "config: train.trainings.plain.start: 'nothing' is neither a training of this run",
        ),
        (
            {"train": {"experiments": {"x": {"plain": "a"}}}},
            "config: train.experiments.x: give either trainings and over, or plain and others",
        ),
        (
            {"codebook": {"contrasts": [["none", "both"]]}},
            "config: codebook: contrasts names 'none', which is not among the variants",
        ),
        (
            {"codebook": {"tasks": {"video_audio": {"test": "digits"}}}},
            "config: codebook.tasks.video_audio.test: 'digits' has no audio and no video",
        ),
        (
            {"cone": {"initialisations": {"datasets": ["shape"]}}},
            "config: cone.initialisations.datasets names 'shape', which is not defined",
        ),
        (
            {"models": {"clip_small": {"training": "none"}}},
            "config: models.clip_small.training: this run trains no 'none'",
        ),
        (
            {"models": {"mine": {"kind": "arrays", "modalities": {"image": "a.npy"}}}},
            "config: models.mine.modalities: must have at least 2 entries, got 1",
        ),
    ],
)
def test_a_mistake_is_refused_in_one_sentence(overlay, sentence):
    (said,) = [line for line in refused(overlay) if sentence in line]
    assert "\n" not in said
    assert "pydantic" not in said and "Value error" not in said


def test_all_mistakes_are_told_at_once():
    said = refused(
        {
            "sede": 1,
            "gap": {"bins": 1, "folds": "x"},
            "datasets": {"shapes": {"items": 1}},
            "select": {"models": ["clop"]},
        }
    )
    for part in ("sede", "gap.bins", "gap.folds", "datasets.shapes.items", "'clop'"):
        assert sum(part in line for line in said) == 1, part
    said = refused(
        {
            "models": {"clip_small": {"training": "none"}},
            "codebook": {"tasks": {"video_audio": {"test": "nothing"}}},
            "cone": {"initialisations": {"datasets": ["nowhere"]}},
        }
    )
    assert len(said) == 3


def test_a_key_twice_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "run: x\nselect:\n  models: [a]\nseed: 1\nselect: {}\ngap: {bins: 1, bins: 2}\n"
    )
    with pytest.raises(UserError) as error:
        read_config(path)
    first, second = str(error.value).split("\nerror: ")
    assert first == f"{path}: the key 'select' stands twice, in lines 2 and 5; keep one of them"
    assert "'bins' stands twice, in lines 6 and 6" in second


def test_shipped_configs_have_no_key_twice_and_resolve(root):
    for path in sorted((root / "config").glob("*.yaml")):
        assert read_config(path) == read_yaml(path)
        run = resolve(path.stem)
        assert run.results and run.models


def test_the_saved_configuration_is_the_same_run_again():
    for name in ("smoke", "paper", "codebook"):
        run = resolve(name)
        assert parse_config(run.options) == run.config
        assert complete(parse_config(run.options)) == run.options


def test_every_option_is_described_and_stands_once_in_a_type():
    def walk(model, place=""):
        for name, one in model.model_fields.items():
            where = f"{place}.{name}".lstrip(".")
            assert one.description or name == "kind", where
            if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel):
                walk(one.annotation, where)

    walk(Config)


def test_values_keep_the_type_that_they_were_given():
    """Tables show 100 and not 100.0."""
    scales = resolve({"shift": {"inverse_temperatures": [100, 2.5]}}).config.shift
    assert [type(one) for one in scales.inverse_temperatures] == [int, float]


def test_each_seed_goes_on_from_its_own_model():
    """Three trainings that share one start are no three seeds of an effect."""
    run = resolve("train")
    tuned = [one for one in run.trainings.values() if one.definition == "temperature"]
    assert len(tuned) == 18
    for one in tuned:
        assert one.start == f"clip_small_s{one.seed}", one.name


def test_options_of_trainings_and_codebooks_are_laid_over_each_other():
    run = resolve(
        {
            "train": {"defaults": {"steps": 7}, "trainings": {"plain": {"batch": 9}}},
            "codebook": {
                "defaults": {"steps": 5, "batch": 6, "inputs": {"size": 16}},
                "variants": {"both": {"steps": 8}},
                "tasks": {"video_audio": {"batch": 4, "inputs": {"mels": 8}}},
            },
        }
    )
    plain, small = (run.trainings[name].options for name in ("plain_s0", "clip_small_s0"))
    assert (plain.steps, plain.batch, small.steps, small.batch) == (300, 9, 7, 256)
    both, matched = (run.codebooks[f"video_audio_{v}_s0"].options for v in ("both", "matched"))
    assert (both.steps, matched.steps, both.batch) == (8, 5, 4)
    assert (both.inputs.size, both.inputs.mels, both.inputs.rate) == (16, 8, 8000)


def test_every_option_is_in_what_rules_hand_to_their_jobs():
    """Types are not hashed: a default that changes must change a parameter."""
    run = resolve()
    made = run.trainings["clip_small_s0"]
    elsewhere = {"seeds", "save_every"}
    assert set(made.recipe) | set(made.facts) == {*TrainingOptions.model_fields, "seed"} - elsewhere
    made = run.codebooks["video_audio_matched_s0"].recipe
    elsewhere |= {"variants", "classes", "max_pairs", "sets", "set_items", "top"}
    assert set(made) == {*CodebookOptions.model_fields} - elsewhere
    assert set(made["inputs"]) == set(Inputs.model_fields)
    assert set(run.landscapes["full"]) == set(Landscape.model_fields)
    assert run.landscapes["full"]["inverse_temperatures"] == [100, 50, 30, 20, 10, 1]
    assert set(run.options["train"]["models"]["small"]) == set(SmallClip.model_fields)
    parts = [some_options(run.config, kind) for kind in (Towers, CloudMeasures)]
    assert {*parts[0], *parts[1], "models"} == set(Initialisations.model_fields)
    task = run.downstream.audits["clip_small", "backgrounds"].facts
    assert set(AuditOptions.model_fields) <= set(task)
    model = run.models["vitb32_random_s0"].options
    assert set(model) == {*ClipModel.model_fields, "seed"}

    def walk(options, model):
        assert set(options) == set(model.model_fields), model
        for name, one in model.model_fields.items():
            if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel):
                walk(options[name], one.annotation)

    for chapter in ("embed", "gap", "shift", "cone", "train", "downstream", "codebook"):
        walk(run.options[chapter], Config.model_fields[chapter].annotation)


def test_a_run_holds_what_was_asked_for_and_nothing_else():
    arrays = {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
    run = resolve({"select": {"models": ["mine"], "chapters": []}, "models": {"mine": arrays}})
    assert run.sets == {} and run.places == []
    assert not [name for name in run.figures if "sphere" in name or "cone" in name]
    assert not [name for name in run.tables if "published" in name]
    from mindgap.report.present import present

    assert not [table for table in present(run) if "sphere" in table or "published" in table]


def test_an_option_of_one_chapter_leaves_the_others_alone():
    before, after = resolve(), resolve({"cone": {"initialisations": {"bins": 50}}})
    differ = {key for key in before.options if before.options[key] != after.options[key]}
    assert differ == {"cone"}
    assert before.landscapes == after.landscapes and before.trainings == after.trainings


def test_imports_are_light():
    check = (
        "import sys, mindgap.config, mindgap.config.run; "
        "print([m for m in ('torch', 'pandas', 'snakemake', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_seeds_become_models_and_carriers_bring_their_set():
    config = given()
    models = [*config["select"]["models"], "mine"]
    arrays = {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
    overlay = {"models": {"vitb32_random": {"seeds": [3, 5]}, "mine": arrays}}
    found = resolve({"select": {"models": models}, **overlay}).models
    published = ["clip", "clip_random", "videoclip", "videoclip_random", "clasp", "clasp_random"]
    names = [
        *published,
        "vitb32_random_s3",
        "vitb32_random_s5",
        "clip_small",
        "joint_small",
        "mine",
    ]
    assert list(found) == names
    assert found["clip"].datasets == ("mscoco",)
    assert found["vitb32_random_s3"].datasets == ("shapes", "digits")
    assert found["mine"].datasets == ("own",)
    assert found["vitb32_random_s5"].options["seed"] == 5


def test_names_must_not_collide():
    arrays = {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
    mine = {"mine": {**arrays, "dataset": "shapes"}, "vitb32_random_s0": {**arrays}}
    select = {"models": ["mine", "vitb32_random", "vitb32_random_s0"]}
    said = refused({"select": {**select, "chapters": []}, "models": mine})
    assert sum("rename one" in line for line in said) == 2


def encoder(**options):
    select = {"models": ["mine"], "chapters": []}
    return {"select": select, "models": {"mine": {"kind": "encoder", **options}}}


def test_an_encoder_needs_two_words():
    (model,) = resolve(encoder(folder="some/where")).models.values()
    assert (model.name, model.weights, model.modalities) == ("mine", "trained", ("image", "text"))
    assert model.datasets == ("shapes", "digits")
    assert model.embeds


def test_random_weights_are_one_model_a_seed():
    overlay = encoder(checkpoint="org/name", weights="random", seeds=[1, 7], modalities=["image"])
    models = resolve(overlay).models
    assert list(models) == ["mine_s1", "mine_s7"]
    assert models["mine_s7"].options["seed"] == 7
    assert models["mine_s7"].options["revision"] == "main"
    assert models["mine_s1"].modalities == ("image",)


def test_an_encoder_embeds_the_sets_that_fit_and_that_it_names():
    def sets(**options):
        return resolve(encoder(folder="x", **options)).models["mine"].datasets

    assert sets(modalities=["audio", "text"]) == ("shapes",)
    assert sets(datasets=["digits"]) == ("digits",)
    (said,) = refused(encoder(folder="x", datasets=["digit"]))
    assert "datasets names 'digit', which is not defined (did you mean 'digits'?)" in said
    voices = {"datasets": {"voices": {"kind": "fsdd", "split": "test"}}}
    (said,) = refused(merge(encoder(folder="x"), {**voices, "select": {"datasets": ["voices"]}}))
    assert "embeds image and text, but select.datasets has none with them" in said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give either checkpoint (a name on the hub) or folder (a path)"),
        ({"folder": "x", "checkpoint": "y"}, "give either checkpoint"),
        ({"folder": "x", "revision": "main"}, "a folder has no revision"),
        ({"folder": "x", "weights": "random"}, "weights: random needs seeds"),
        ({"folder": "x", "seeds": [1]}, "weights: random needs seeds"),
        ({"checkpoint": "../../etc/passwd"}, "is not a name"),
    ],
)
def test_contradictions_of_an_encoder_are_refused(options, sentence):
    (said,) = refused(encoder(**options))
    assert said.startswith("config: models.mine") and sentence in said


def test_manual_and_schema_are_in_step_with_the_types(root):
    """Write them again with `mindgap manual`."""
    for name, text in documents().items():
        assert (root / "config" / name).read_text(encoding="utf-8") == text, name
    for part in ("| `bootstrap` | `1000` | whole number ≥ 100 |", "`kind: folder`", "run: mine"):
        assert part in documents()["README.md"]


def test_schema_for_editors_knows_the_shipped_configs_and_a_wrong_key(root):
    validator = Draft202012Validator(json.loads(documents()["schema.json"]))
    for path in sorted((root / "config").glob("*.yaml")):
        assert not list(validator.iter_errors(read_yaml(path))), path.name
    assert list(validator.iter_errors({"run": "x", "gap": {"bootstrp": 1}}))


def test_examples_of_the_manual_are_valid():
    blocks = re.findall(r"```yaml\n(.*?)```", documents()["README.md"], re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        parse_config(given(yaml.safe_load(block)))


def test_run_is_resolved_once():
    run = resolve("smoke")
    assert isinstance(run, Run) and run.name == "smoke"
    assert "figures/spheres.png" in " ".join(run.results)
    assert len(run.results) == len(set(run.results))
