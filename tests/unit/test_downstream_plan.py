"""What a configuration asks of the chapter: tasks, prompts, files; and what it may not ask."""

import pytest

from mindgap.config import read_yaml
from mindgap.data.sources import carried_files, carried_places, expected_sums
from mindgap.runtime.errors import UserError
from tests.samples import resolve


def plan(overlay):
    return resolve(overlay).downstream


def only(task, group="tasks", **more):
    """An overlay with one task."""
    other = {"tasks": "audits", "audits": "tasks"}[group]
    select = {group: ["mine"], other: [], "models": ["clip_small"], "datasets": []}
    return {"select": select, "downstream": {group: {"mine": task}}, **more}


def own_arrays(task, **more):
    """An overlay with arrays of one's own and a task about them."""
    select = {"models": ["theirs"], "datasets": [], "tasks": ["mine"], "chapters": []}
    task = {**task, "dataset": "pictures"}
    models = {"theirs": {**ARRAYS, **more}}
    return {"select": select, "models": models, "downstream": {"tasks": {"mine": task}}}


TASK = {"dataset": "singles", "prompts": "template", "direction": "own"}
AUDIT = {**TASK, "labels": {"bad": ["a", "b"]}, "groups": None, "shifts": [0, 1], "sides": "a"}
ARRAYS = {
    "kind": "arrays",
    "source": "cifar10-clip",
    "dataset": "pictures",
    "modalities": {
        "image": "train_shard012_vitb32_laion2b.npz#vision_emb",
        "text": "train_shard012_vitb32_laion2b.npz#text_emb",
    },
    "labels": "train_shard012_vitb32_laion2b.npz#label_ids",
    "classes": ["cat", "dog"],
}


def test_one_file_of_prompts_serves_all_tasks_of_a_set():
    found = plan({})
    assert set(found.tasks) == {("clip_small", "singles"), ("clip_small", "singles_ensemble")}
    wanted = found.prompted["clip_small", "singles"]
    assert wanted["templates"][0] == "a {}"
    assert len(wanted["templates"]) == len(set(wanted["templates"])) == 8
    assert wanted["labels"][0] == "black background"
    files = found.tasks["clip_small", "singles"].inputs("r")
    assert files["prompts"] == "results/r/embeddings/clip_small/singles.prompts.safetensors"
    assert files["labels"] == "results/embedded/pairs/singles.parquet"
    assert "direction" not in files


def test_a_direction_from_pairs_is_an_input():
    found = plan(only({**TASK, "direction": "held_out"}))
    files = found.tasks["clip_small", "mine"].inputs("r")
    assert files["direction"] == "results/r/embeddings/clip_small/held_out.safetensors"


def test_published_labels_are_taken_by_name():
    overlay = only(
        {**AUDIT, "dataset": "faces", "labels": "denigrating"},
        "audits",
        datasets={"faces": {"kind": "fairface", "split": "val"}},
        models={"clip_small": {"datasets": ["faces"]}},
    )
    found = plan(overlay)
    task = found.audits["clip_small", "mine"]
    assert task.options.labels["crime"] == ["thief", "criminal", "suspicious person"]
    assert task.templates == ("a photo of {a} {}",)
    assert len(found.prompted["clip_small", "faces"]["labels"]) == 7


def test_embeddings_of_others_are_their_own_prompts():
    overlay = only({**TASK, "dataset": "pictures", "prompts": "rows"}, models={"theirs": ARRAYS})
    overlay["select"]["models"] = ["theirs"]
    found = plan(overlay)
    task = found.tasks["theirs", "mine"]
    assert task.templates is None
    assert task.source["classes"] == ["cat", "dog"]
    record = "data/.fetched/cifar10-clip/train_shard012_vitb32_laion2b.npz.sha256"
    assert task.inputs("r")["labels"] == record
    assert found.prompted == {}
    assert found.classes("theirs", "pictures")["name"] == "mine"
    assert set(found.compared("theirs", "pictures", "r")) == {"embeddings", "labels"}


def test_files_of_a_source_are_fetched_once_and_checked(root):
    place = ("cifar10-clip", "train_shard012_vitb32_laion2b.npz")
    assert carried_places(ARRAYS) == [place]
    assert carried_files(ARRAYS) == ["data/cifar10-clip/train_shard012_vitb32_laion2b.npz"]
    (sums,) = expected_sums(read_yaml(root / "workflow/sources.yaml"), ARRAYS).values()
    assert sums.startswith("8684a368")


def test_a_task_that_no_model_can_answer_has_no_part_in_the_run():
    """Overlays about one's own model keep the tasks of the default."""
    overlay = {"select": {"models": ["theirs"], "datasets": [], "chapters": []}}
    found = plan({**overlay, "models": {"theirs": {**ARRAYS, "source": "cifar10-clip"}}})
    assert found.tasks == found.audits == {}
    assert found.pairs == [("theirs", "pictures")]
    assert "curves" not in found.parts("") and "rates" not in found.parts("")
    assert set(found.figures()) == {"retrieval", "methods", "mixed"}


@pytest.mark.parametrize(
    ("overlay", "sentence"),
    [
        (
            {"select": {"tasks": ["single"]}},
            "select.tasks names 'single', .*did you mean 'singles'",
        ),
        (only({**TASK, "dataset": "none"}), "tasks.mine.dataset: no data set is called 'none'"),
        (only({**TASK, "direction": "shapes"}), "clip_small does not embed 'shapes'"),
        (only({**TASK, "prompts": "best"}), r"no prompts 'best' \(it has: template, ensemble"),
        (only({**AUDIT, "prompts": "rows"}, "audits"), "rows have no prompts for further labels"),
        (only({**AUDIT, "labels": "denigrating"}, "audits"), "has no labels 'denigrating'"),
        (only({**AUDIT, "shifts": [1, 2]}, "audits"), "audits.mine: shifts lacks 0"),
        (only({**TASK, "prompts": ["a photo"]}), "tasks.mine.prompts"),
        (own_arrays(TASK), "tasks.mine.prompts: theirs brings its embeddings and cannot embed"),
        (
            own_arrays({**TASK, "prompts": "rows"}, labels=None),
            "the set 'pictures' has no labels; add labels to models.theirs",
        ),
        ({"downstream": {"methods": {"calibration": 0}}}, "calibration: must be above 0, got 0"),
    ],
)
def test_refusals(overlay, sentence):
    with pytest.raises(UserError, match=sentence):
        plan(overlay)
