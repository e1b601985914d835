import copy

import pytest

from mindgap.config import check_config, check_set, expand_models, read_yaml
from mindgap.runtime.errors import UserError


@pytest.fixture(scope="module")
def schema(root):
    return read_yaml(root / "workflow/schemas/config.schema.yaml")


@pytest.fixture
def config(root):
    return copy.deepcopy(read_yaml(root / "config/default.yaml"))


def test_default_is_valid_and_every_key_is_described(config, schema):
    check_config(config, schema)
    assert all("description" in part for part in schema["properties"].values())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(sede=1), "config: unknown key 'sede' (did you mean 'seed'?)"),
        (
            lambda c: c["gap"].update(bootstrp=1),
            "config: gap: unknown key 'bootstrp' (did you mean 'bootstrap'?)",
        ),
        (
            lambda c: c["models"]["vitb32_random"].update(batchsize=8),
            "config: models.vitb32_random: unknown key 'batchsize' (did you mean 'batch_size'?)",
        ),
        (
            lambda c: c["models"]["vitb32_random"].update(kind="clop"),
            "config: models.vitb32_random.kind: 'clop' is not known (did you mean 'clip'?)",
        ),
        (
            lambda c: c["select"].update(models=["vitb32"]),
            "config: select.models names 'vitb32', which is not defined "
            "(did you mean 'vitb32_random'?)",
        ),
        (lambda c: c["datasets"]["shapes"].pop("items"), "the key 'items' is missing"),
        (lambda c: c.update(seed="x"), "config: seed: 'x' is not of type integer"),
        (lambda c: c["gap"].update(confidence=1.5), "config: gap.confidence: 1.5 is greater"),
        (lambda c: c.update(run="a/b"), "config: run: 'a/b' is not a name"),
        (
            lambda c: c["datasets"].update(
                x={"kind": "folder", "media": "a{b}", "modality": "image", "table": "t"}
            ),
            "config: datasets.x.media: 'a{b}' is empty or has braces, which no path may have",
        ),
        (lambda c: c.update(run="a\n"), "config: run: 'a\\n' is not a name"),
        (lambda c: c["datasets"].update({"$(touch x)": {"kind": "digits"}}), "is not a name"),
        (lambda c: c["models"].update({"x; touch y": {"kind": "clip"}}), "is not a name"),
        (
            lambda c: c["datasets"].update(x={"kind": "mscoco", "split": "test"}),
            "config: datasets.x.split: 'test' is not known (known: val, train)",
        ),
        (
            lambda c: c["datasets"].update(x={"kind": "mscocoo", "split": "val"}),
            "'mscocoo' is not known (did you mean 'mscoco'?)",
        ),
        (
            lambda c: c["datasets"].update(x={"kind": "webdataset", "shards": "a", "seed": 1}),
            "config: datasets.x: unknown key 'seed'",
        ),
        (
            lambda c: c["datasets"].update(x={"kind": "huggingface", "name": "a/b", "split": "t"}),
            "config: datasets.x: give either name and revision, or path",
        ),
    ],
)
def test_a_mistake_is_refused_in_one_sentence(config, schema, change, sentence):
    change(config)
    with pytest.raises(UserError) as error:
        check_config(config, schema)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_seeds_become_models_and_carriers_bring_their_set(config):
    config["models"]["vitb32_random"]["seeds"] = [3, 5]
    config["models"]["mine"] = {"kind": "arrays", "modalities": {"image": "a.npy", "text": "b.npy"}}
    config["select"]["models"].append("mine")
    models = expand_models(config)
    published = ["clip", "clip_random", "videoclip", "videoclip_random", "clasp", "clasp_random"]
    names = [*published, "vitb32_random_s3", "vitb32_random_s5", "clip_small", "mine"]
    assert [m.name for m in models] == names
    found = dict(zip(names, models, strict=True))
    assert found["clip"].datasets == ("mscoco",)
    assert found["vitb32_random_s3"].datasets == ("shapes", "digits")
    assert found["mine"].datasets == ("own",)
    assert found["vitb32_random_s5"].options["seed"] == 5


def test_an_encoder_takes_the_sets_that_have_its_modalities(config):
    config["datasets"]["voices"] = {"kind": "fsdd", "split": "test"}
    config["select"] |= {"datasets": ["voices", "digits"], "models": ["vitb32_random"]}
    assert expand_models(config)[0].datasets == ("digits",)
    config["select"]["datasets"] = ["voices"]
    with pytest.raises(UserError, match=r"embeds image and text, but select\.datasets has none"):
        expand_models(config)


def test_own_copies_must_be_files_of_the_set(tmp_path):
    definition = {"kind": "mscoco", "split": "val", "files": {"val2014.zip": "x"}}
    with pytest.raises(UserError, match=r"takes no 'val2014.zip' \(did you mean 'val2017.zip'\?"):
        check_set("coco", definition, tmp_path)
    definition["files"] = {"val2017.zip": "data/x.zip"}
    with pytest.raises(UserError, match=r"datasets.coco.files.val2017.zip: data/x.zip does not"):
        check_set("coco", definition, tmp_path)


def test_names_must_not_collide(config):
    config["models"]["mine"] = {
        "kind": "arrays",
        "dataset": "shapes",
        "modalities": {"image": "a.npy", "text": "b.npy"},
    }
    config["select"]["models"].append("mine")
    with pytest.raises(UserError, match="rename one"):
        expand_models(config)


def test_every_shipped_config_is_valid_over_the_default(root, schema):
    from snakemake.utils import update_config

    for path in sorted((root / "config").glob("*.yaml")):
        config = read_yaml(root / "config/default.yaml")
        update_config(config, read_yaml(path))
        check_config(config, schema)
        expand_models(config)


def encoder(config, **options):
    config["models"]["mine"] = {"kind": "encoder", **options}
    config["select"]["models"] = ["mine"]
    return config


def test_an_encoder_needs_two_words(config, schema):
    encoder(config, folder="some/where")
    check_config(config, schema)
    (model,) = expand_models(config)
    assert (model.name, model.weights, model.modalities) == ("mine", "trained", ("image", "text"))
    assert model.datasets == ("shapes", "digits")
    assert model.embeds


def test_random_weights_are_one_model_a_seed(config, schema):
    encoder(config, checkpoint="org/name", weights="random", seeds=[1, 7], modalities=["image"])
    check_config(config, schema)
    models = expand_models(config)
    assert [m.name for m in models] == ["mine_s1", "mine_s7"]
    assert models[1].options["seed"] == 7
    assert models[1].options["revision"] == "main"
    assert models[0].modalities == ("image",)


def test_an_encoder_embeds_the_sets_that_fit_and_that_it_names(config):
    encoder(config, folder="x", modalities=["audio", "text"])
    assert [m.datasets for m in expand_models(config)] == [("shapes",)]
    encoder(config, folder="x", datasets=["digits"])
    assert [m.datasets for m in expand_models(config)] == [("digits",)]
    with pytest.raises(UserError, match=r"datasets names 'digit', .*did you mean 'digits'"):
        expand_models(encoder(config, folder="x", datasets=["digit"]))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "give either checkpoint (a name on the hub) or folder (a path)"),
        ({"folder": "x", "checkpoint": "y"}, "give either checkpoint"),
        ({"folder": "x", "revision": "main"}, "a folder has no revision"),
        ({"folder": "x", "weights": "random"}, "seeds belong to weights: random"),
        ({"folder": "x", "seeds": [1]}, "seeds belong to weights: random"),
    ],
)
def test_contradictions_of_an_encoder_are_refused(config, schema, options, sentence):
    encoder(config, **options)
    check_config(config, schema)
    with pytest.raises(UserError) as error:
        expand_models(config)
    assert sentence in str(error.value)


def test_a_name_that_is_none_of_the_hub_is_refused(config, schema):
    encoder(config, checkpoint="../../etc/passwd")
    with pytest.raises(UserError, match="mine"):
        check_config(config, schema)
