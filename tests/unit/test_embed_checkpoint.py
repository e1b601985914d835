"""Checkpoints: what is fetched, recorded, verified, refused."""

import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from mindgap.embed.checkpoint import (
    check_checkpoint,
    choose_files,
    describe_folder,
)
from mindgap.embed.encode import make_encoder
from mindgap.embed.encoders.load import ADAPTERS, load_encoder
from mindgap.embed.fetch import fetch_checkpoint
from mindgap.runtime.errors import UserError
from tests.checkpoints import FAMILIES, make_checkpoint

NAME, COMMIT = "some-org/tiny-clip", "c" * 40


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# What is loaded, and what is refused


def test_every_family_of_the_tests_is_registered():
    assert set(ADAPTERS) == set(FAMILIES)
    assert {name: adapter.modalities for name, adapter in ADAPTERS.items()} == FAMILIES


def test_the_checkpoint_speaks_for_itself(clip):
    facts = load_encoder(clip).facts
    assert facts["activation_text"] == facts["activation_image"] == "quick_gelu"
    assert facts["max_length"] == 20
    assert facts["padding"] == "longest"
    assert facts["lowercase"] is True
    assert facts["image_processor"]["class"] == "CLIPImageProcessorPil"
    assert facts["image_processor"]["size"] == {"shortest_edge": 32}
    assert facts["image_processor"]["fast"] is True
    json.dumps(facts)


def test_expected_facts_are_asserted(clip):
    load_encoder(clip, expect={"activation_text": "quick_gelu", "max_length": 20})
    with pytest.raises(UserError, match="activation_text is 'quick_gelu', not 'gelu'"):
        load_encoder(clip, expect={"activation_text": "gelu"})
    with pytest.raises(UserError, match="activation is None"):
        load_encoder(clip, expect={"activation": "gelu"})


def test_an_unknown_type_fails_with_the_known_ones(copy):
    edit(copy / "config.json", model_type="gpt2")
    with pytest.raises(UserError, match=r"'gpt2' \(known: clip, siglip, .*bert\)"):
        load_encoder(copy)
    (copy / "config.json").unlink()
    with pytest.raises(UserError, match="not a checkpoint folder"):
        load_encoder(copy)


def test_other_modalities_than_declared_are_refused(clip):
    with pytest.raises(UserError, match=r"set modalities: \[image, text\]"):
        load_encoder(clip, modalities=("audio", "text"))


def test_missing_weights_are_not_drawn_at_random(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing .* visual_projection.weight"):
        load_encoder(copy)
    (copy / "model.safetensors").write_bytes(b"truncated")
    with pytest.raises(UserError, match="weights cannot be read"):
        load_encoder(copy)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tokenizer_or_processor_is_never_invented(family, tmp_path):
    """Without its files the library makes an empty tokenizer, and all texts become one vector."""
    modalities = FAMILIES[family]
    for part, what in (("token", "tokenizer"), ("processor", "processor")):
        folder = make_checkpoint(family, tmp_path / part)
        ends = ("spiece.model", "spiece.vocab", "vocab.json", "merges.txt")
        for path in folder.iterdir():
            if (part == "token" and path.name in ends) or part in path.name:
                path.unlink()
        if modalities == {"token": ("image",), "processor": ("text",)}[part]:
            load_encoder(folder)  # a tower without that part
            continue
        with pytest.raises(UserError, match=rf"lacks the .* of its {what}"):
            load_encoder(folder)


def test_a_tokenizer_without_words_is_refused(copy):
    from transformers import CLIPTokenizer

    for path in copy.glob("*token*"):
        path.unlink()
    CLIPTokenizer().save_pretrained(copy)
    with pytest.raises(UserError, match="its tokenizer knows no word"):
        load_encoder(copy)
    (copy / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="its tokenizer or processor cannot be read"):
        load_encoder(copy)


def test_everything_that_a_folder_lacks_is_in_one_sentence(copy):
    for path in copy.iterdir():
        if path.name != "config.json":
            path.unlink()
    with pytest.raises(UserError, match=r"tokenizer .* and .* processor .* and weights"):
        load_encoder(copy)


def test_a_projection_of_another_size_is_named(copy):
    edit(copy / "config.json", projection_dim=99)
    with pytest.raises(
        UserError, match=r"2 weights .* \(saved as \(24, 32\), .* says \(99, 32\)\)"
    ):
        load_encoder(copy)


def test_a_classifier_without_pooler_gives_its_first_token(tmp_path):
    folder = make_checkpoint("vit", tmp_path / "vit")
    assert load_encoder(folder, modalities=("image",)).facts["pooling"] == "pooler"
    weights = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in weights.items() if not k.startswith("pooler")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    encoder = load_encoder(folder)
    assert encoder.facts["pooling"] == "first token"
    pixels = torch.randint(0, 255, (3, 32, 32, 3), dtype=torch.uint8)
    found = encoder.encode("image", {"pixel_values": pixels})
    with torch.no_grad():
        hidden = encoder.model(encoder.pixels.to_tensor(pixels)).last_hidden_state
    torch.testing.assert_close(found, hidden[:, 0])


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (
            "processor",
            {"crop_size": {"height": 24, "width": 24}},
            "24 x 24 pixels, its model takes 32",
        ),
        ("text_config", {"vocab_size": 100}, "tokenizer knows 401 tokens"),
    ],
)
def test_parts_of_another_model_are_noticed(copy, file, change, says):
    if file == "processor":
        name = next(p for p in copy.glob("*processor*.json"))
        given = json.loads(name.read_text())
        (given.get("image_processor") or given).update(change)
        name.write_text(json.dumps(given))
        with pytest.raises(UserError, match=says):
            load_encoder(copy)
    else:
        config = json.loads((copy / "config.json").read_text())
        config["text_config"].update(change)
        (copy / "config.json").write_text(json.dumps(config))
        with pytest.raises(UserError, match=says):
            load_encoder(copy, "random", 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_random_weights_come_from_the_seed(family, tmp_path):
    folder = make_checkpoint(family, tmp_path)
    for path in folder.glob("model*"):
        path.unlink()
    with pytest.raises(UserError, match=r"lacks weights \(model.safetensors\); copy"):
        load_encoder(folder)
    state = torch.random.get_rng_state()
    first, again, other = (load_encoder(folder, "random", seed) for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), state), "the global generator is untouched"
    assert first.facts["initialiser"]
    a, b, c = (one.model.state_dict() for one in (first, again, other))
    assert all(torch.equal(a[key], b[key]) for key in a)
    drawn = [k for k in a if a[k].is_floating_point() and a[k].numel() > 1 and a[k].std() > 0]
    assert len(drawn) > 5
    assert not all(torch.equal(a[key], c[key]) for key in drawn)


def test_random_clip_is_openais_initialiser(clip):
    """Patch convolution uniform in +-fan_in^-1/2; the library would draw a normal of 0.02."""
    weight = load_encoder(clip, "random", 0).model.vision_model.embeddings.patch_embedding.weight
    bound = (3 * 8 * 8) ** -0.5
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)


# What is fetched


def test_needed_files_are_chosen():
    names = [
        *("config.json", "merges.txt", "vocab.json", "preprocessor_config.json", "README.md"),
        *("pytorch_model.bin", "model.safetensors", "tf_model.h5", "flax_model.msgpack"),
        *("onnx/model.onnx", "spiece.model", ".gitattributes", "manifest.json"),
    ]
    chosen = choose_files(names)
    assert chosen == sorted(
        "config.json merges.txt vocab.json preprocessor_config.json model.safetensors "
        "spiece.model".split()
    )
    assert "pytorch_model.bin" in choose_files([n for n in names if "safetensors" not in n])


@pytest.fixture
def hub(clip, monkeypatch):
    """The hub's client, with one checkpoint in it."""
    seen = []

    def snapshot(checkpoint, revision, allow_patterns, local_dir):
        seen.append((checkpoint, revision))
        local_dir.mkdir(parents=True, exist_ok=True)
        for name in allow_patterns:
            shutil.copy(clip / name, local_dir / name)

    class Api:
        def model_info(self, checkpoint, revision):
            if checkpoint != NAME:
                raise ConnectionError("no such repository")
            files = [SimpleNamespace(rfilename=p.name) for p in clip.iterdir()]
            return SimpleNamespace(sha=COMMIT, siblings=files)

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return seen


def test_a_checkpoint_comes_from_the_hub_at_the_commit_of_its_branch(hub, clip, tmp_path):
    manifest = tmp_path / "some-org--tiny-clip/main/manifest.json"
    assert COMMIT in fetch_checkpoint(NAME, "main", manifest)
    assert hub == [(NAME, COMMIT)]
    said = check_checkpoint(manifest)
    assert said["commit"] == COMMIT
    assert said["files"] == describe_folder(clip)
    load_encoder(manifest.parent)


def test_a_branch_that_moved_is_noticed(hub, clip, tmp_path):
    manifest = tmp_path / "some-org--tiny-clip/main/manifest.json"
    fetch_checkpoint(NAME, "main", manifest)
    shutil.rmtree(manifest.parent)
    fetch_checkpoint(NAME, "main", manifest)
    record = manifest.parent.with_name("main.record.json")
    edit(record, files={**json.loads(record.read_text())["files"], "config.json": {"sha256": "0"}})
    with pytest.raises(UserError, match=r"not what was recorded .*\(config.json\)"):
        fetch_checkpoint(NAME, "main", manifest)


def test_a_failed_download_says_what_to_do(hub, tmp_path):
    with pytest.raises(UserError, match="models/no--such/main and set MINDGAP_MIRROR"):
        fetch_checkpoint("no/such", "main", tmp_path / "no--such/main/manifest.json")
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize("listed", [False, True])
def test_a_mirror_goes_first(hub, clip, tmp_path, listed):
    mirror = tmp_path / "mirror"
    place = shutil.copytree(clip, mirror / "models/some-org--tiny-clip/main")
    if listed:
        about = {"commit": "m" * 40, "files": describe_folder(clip)}
        (place / "manifest.json").write_text(json.dumps(about))
    manifest = tmp_path / "data/some-org--tiny-clip/main/manifest.json"
    assert str(place) in fetch_checkpoint(NAME, "main", manifest, str(mirror))
    assert not hub
    assert check_checkpoint(manifest)["commit"] == ("m" * 40 if listed else None)
    assert sorted(p.name for p in manifest.parent.iterdir()) == sorted(
        [*describe_folder(clip), "manifest.json"]
    )


def pickled(clip, folder, weights=None):
    """The checkpoint with its weights as pytorch_model.bin, in two files if `weights` has two."""
    shutil.copytree(clip, folder)
    (folder / "model.safetensors").unlink()
    for name, part in (
        weights or {"pytorch_model.bin": load_file(clip / "model.safetensors")}
    ).items():
        torch.save(part, folder / name)
    return folder


def halves(clip):
    """Its weights in two files, one of them with two names for one tensor."""
    whole = load_file(clip / "model.safetensors")
    names = sorted(whole)
    parts = [{n: whole[n] for n in names[:9]}, {n: whole[n] for n in names[9:]}]
    parts[1]["tied"] = parts[1][names[9]]
    return {f"pytorch_model-0000{i}-of-00002.bin": part for i, part in enumerate(parts, 1)}


@pytest.mark.parametrize("parts", [None, halves])
def test_pickled_weights_are_converted_once_and_recorded(hub, clip, tmp_path, parts):
    folder = tmp_path / "mirror/models/some-org--tiny-clip/main"
    origin = pickled(clip, folder, parts and parts(clip))
    (origin / "pytorch_model.bin.index.json").write_text("{}")
    manifest = tmp_path / "data/some-org--tiny-clip/main/manifest.json"
    fetch_checkpoint(NAME, "main", manifest, str(tmp_path / "mirror"))
    said = check_checkpoint(manifest)
    assert said["published"] == describe_folder(origin)
    assert set(said["files"]) == {p.name for p in manifest.parent.iterdir()} - {"manifest.json"}
    assert not [name for name in said["files"] if ".bin" in name]
    found, expected = (load_file(f / "model.safetensors") for f in (manifest.parent, clip))
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    load_encoder(manifest.parent)
    # The same pickle again, and a mirror of what was converted, are the same checkpoint.
    before = manifest.read_bytes()
    fetch_checkpoint(NAME, "main", manifest, str(tmp_path / "mirror"))
    assert manifest.read_bytes() == before
    shutil.copytree(manifest.parent, tmp_path / "second/models/some-org--tiny-clip/main")
    fetch_checkpoint(NAME, "main", manifest, str(tmp_path / "second"))
    torch.save({"other": torch.ones(2)}, next(origin.glob("*.bin")))
    shutil.rmtree(manifest.parent)
    with pytest.raises(UserError, match=r"not what was recorded .*\(pytorch_model.*bin\)"):
        fetch_checkpoint(NAME, "main", manifest, str(tmp_path / "mirror"))


class Trap:
    def __reduce__(self):
        return (print, ("code of a stranger",))


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"a": Trap()}, "which could run code"),
        ([torch.ones(2)], "holds no weights by name"),
        ({"a": torch.ones(2), "epoch": 3}, "'epoch' is no tensor but int"),
    ],
)
def test_pickles_that_are_more_than_weights_are_refused(
    hub, clip, tmp_path, weights, sentence, capsys
):
    folder = tmp_path / "mirror/models/some-org--tiny-clip/main"
    pickled(clip, folder, {"pytorch_model.bin": weights})
    manifest = tmp_path / "data/some-org--tiny-clip/main/manifest.json"
    with pytest.raises(UserError, match=sentence):
        fetch_checkpoint(NAME, "main", manifest, str(tmp_path / "mirror"))
    assert "stranger" not in capsys.readouterr().out
    assert not list(tmp_path.glob("data/**/*.safetensors")) and not manifest.exists()


def test_a_changed_file_is_noticed(hub, tmp_path):
    manifest = tmp_path / "some-org--tiny-clip/main/manifest.json"
    fetch_checkpoint(NAME, "main", manifest)
    edit(manifest.parent / "config.json", extra=1)
    with pytest.raises(UserError, match=r"not the file of .* any more"):
        check_checkpoint(manifest)
    (manifest.parent / "config.json").unlink()
    with pytest.raises(UserError, match="is missing"):
        check_checkpoint(manifest)


def test_no_socket_is_opened_after_the_download(hub, tmp_path, monkeypatch):
    """Loading and embedding a fetched checkpoint with every socket forbidden."""
    import socket

    from mindgap.data.sets import build_pairs
    from mindgap.embed.encode import embed_pairs
    from mindgap.embed.extract import Work

    manifest = tmp_path / "some-org--tiny-clip/main/manifest.json"
    fetch_checkpoint(NAME, "main", manifest)

    def forbidden(*args, **kwargs):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    pairs = tmp_path / "pairs.parquet"
    build_pairs(pairs, {"kind": "shapes", "items": 5, "size": 32, "frames": 2, "seed": 0})
    check_checkpoint(manifest)
    options = {"kind": "encoder", "weights": "trained", "modalities": ["image", "text"]}
    encoder = make_encoder(options, manifest.parent)
    found = embed_pairs(encoder, pairs, Work(), torch.device("cpu"))
    assert found.rows["image"].shape == (5, 24)
