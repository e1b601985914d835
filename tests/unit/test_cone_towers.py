import io

import numpy as np
import pytest
import torch
from PIL import Image

from mindgap.cone import inputs as given
from mindgap.cone.cones import cone_row, cone_tables, gap_table, summarise, twin_table
from mindgap.cone.separation import name_members, separation_row, separation_tables
from mindgap.cone.store import Cloud, load_towers, save_towers
from mindgap.cone.towers import (
    embed_checkpoints,
    embed_initialisations,
    embed_mlp,
    run_towers,
    without_normalisation,
)
from mindgap.config.cone import CloudMeasures
from mindgap.data.pairs import write_pairs
from mindgap.embed.clip import random_clip
from mindgap.embed.encode import embed_pairs
from mindgap.embed.encoders.drawn import RandomResNet, drawn_encoder, picture_side
from mindgap.embed.encoders.load import load_encoder
from mindgap.embed.extract import Work
from mindgap.gap.cosines import mean_cosine, unit_rows
from mindgap.gap.measures import modality_gap
from mindgap.runtime.errors import UserError
from tests.bounds import NETWORK
from tests.checkpoints import FAMILIES, make_checkpoint

CPU = torch.device("cpu")
IMAGE = Cloud("set", "image")


def png(seed, size=40):
    rng = np.random.default_rng(seed)
    stream = io.BytesIO()
    pixels = rng.integers(0, 255, (size, size + 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "things.parquet"
    texts = [[f"thing number {i}", "another"] for i in range(7)]
    batch = {"id": [str(i) for i in range(7)], "image": [png(i) for i in range(7)], "text": texts}
    write_pairs(path, [batch])
    return path


def named(clouds):
    return {str(cloud): rows for cloud, rows in clouds.items()}


def parsed(tensors):
    return {Cloud.parse(name): rows for name, rows in tensors.items()}


def test_resnet_18_is_torchvisions():
    """11,689,512 parameters without the classifier's 513,000, kernels with variance 2 / fan-out."""
    towers = RandomResNet("resnet-18")
    assert sum(p.numel() for p in towers.model.parameters()) == 11_689_512 - 513_000
    towers.draw(0)
    assert not towers.model.training
    kernels = {n: m for n, m in towers.model.named_modules() if isinstance(m, torch.nn.Conv2d)}
    assert len(kernels) == 20
    for name, module in kernels.items():
        assert module.bias is None, name
        std = (2 / (module.out_channels * module.kernel_size[0] ** 2)) ** 0.5
        sampling = 4 / np.sqrt(2 * module.weight.numel())
        assert module.weight.std().item() == pytest.approx(std, rel=sampling), name
    for module in towers.model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()
            assert not module.running_mean.any()
            assert (module.running_var == 1).all()


def test_batch_norm_of_a_random_resnet_is_the_identity_and_features_are_not_negative():
    towers = drawn_encoder("resnet-tiny")
    towers.draw(1)
    x = given.noise(4, 0).pixels(0, 4, towers.side)
    with torch.inference_mode():
        features = towers.encode("image", {"pixel_values": x})
    assert (features >= 0).all(), "after the last ReLU and the pooling (T15)"
    assert features.shape == (4, 32)
    hooks = [
        m.register_forward_hook(lambda _m, i, _o: i[0])
        for m in towers.model.modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    ]
    with torch.inference_mode():
        bare = towers.encode("image", {"pixel_values": x})
    assert hooks
    # Batch norm divides by sqrt(1 + 1e-5), at most 20 times one after the other.
    largest = float(bare.max())
    torch.testing.assert_close(features, bare, rtol=0, atol=20 * 0.5e-5 * largest + NETWORK)


def test_clip_towers_are_the_models_own_embeddings():
    towers = drawn_encoder("tiny")
    towers.draw(3)
    model = random_clip("tiny", 3)
    noise = given.noise(5, 42)
    found = run_towers(towers, noise, 2, CPU)
    with torch.inference_mode():
        image = model.get_image_features(pixel_values=noise.pixels(0, 5, 32))
        text = model.get_text_features(input_ids=noise.tokens(0, 5))
    for modality, expected in (("image", image), ("text", text)):
        expected = getattr(expected, "pooler_output", expected)
        np.testing.assert_allclose(found[Cloud("noise", modality)], expected, atol=NETWORK)
    names = {f"noise/{m}{end}" for m in ("image", "text") for end in ("", ".pooled")}
    assert set(map(str, found)) == names


def test_noise_is_that_of_the_protocol_and_row_by_row():
    noise = given.noise(6, 42)
    tokens = noise.tokens(0, 6)
    assert tokens.shape == (6, 77)
    assert tokens.min() >= 0 and 49_000 < tokens.max() < 49_408
    pixels = noise.pixels(0, 6, 64)
    assert pixels.mean().item() == pytest.approx(0, abs=0.02)
    assert pixels.std().item() == pytest.approx(1, abs=0.02)
    torch.testing.assert_close(noise.pixels(2, 4, 64), pixels[2:4])
    torch.testing.assert_close(noise.tokens(3, 4), tokens[3:4])
    assert not torch.equal(given.noise(6, 43).tokens(0, 6), tokens)


def test_embeddings_that_are_not_finite_end_in_one_sentence(monkeypatch):
    def broken(*_, **__):
        return {Cloud("noise", "image"): np.full((4, 8), np.nan, np.float32)}

    monkeypatch.setattr("mindgap.cone.towers.run_towers", broken)
    with pytest.raises(UserError, match="resnet-tiny on noise, image: "):
        embed_initialisations("resnet-tiny", [0], [given.noise(4, 0)], [], 0, 4, CPU)


def test_layer_norms_are_passed_by_and_come_back():
    towers = drawn_encoder("tiny")
    towers.draw(0)
    noise = given.noise(4, 0)
    text = Cloud("noise", "text")
    before = run_towers(towers, noise, 4, CPU)[text]
    with without_normalisation(towers.model):
        bare = run_towers(towers, noise, 4, CPU)[text]
    after = run_towers(towers, noise, 4, CPU)[text]
    np.testing.assert_array_equal(before, after)
    assert np.abs(before - bare).max() > 1e-3


def test_all_initialisations_of_all_inputs(pairs):
    sets = {"things": str(pairs), "again": str(pairs)}
    inputs, few = given.gather_inputs(given.noise(5, 0), sets, {"things": "again"}, 5, 32)
    assert [s.name for s in inputs] == ["noise", "things"]
    assert [(s.name, s.drawn) for s in few] == [("things", True), ("again", False)]
    found = named(embed_initialisations("tiny", [0, 1, 2], inputs, few, 2, 3, CPU))
    assert found["noise/image"].shape == found["things/text"].shape == (3, 5, 64)
    assert found["things captions drawn/image"].shape == (2, 5, 64)
    assert "things captions drawn/text" not in found
    assert found["things unnormalised/image"].shape == (2, 5, 64)
    np.testing.assert_array_equal(found["again/image"], found["things/image"][:2])
    other = named(embed_initialisations("tiny", [2], inputs, [], 1, 5, CPU))
    np.testing.assert_allclose(other["things/image"][0], found["things/image"][2], atol=NETWORK)
    one = random_clip("tiny", 1)
    with torch.inference_mode():
        alone = one.get_image_features(pixel_values=inputs[1].pixels(0, 5, 32))
    alone = getattr(alone, "pooler_output", alone)
    np.testing.assert_allclose(found["things/image"][1], alone, atol=NETWORK)


def test_pictures_are_prepared_as_torchvision_does_by_default(pairs):
    things = given.read_items(pairs, "things", 3, 32)
    assert things.pictures.shape == (3, 32, 32, 3)
    picture = Image.open(io.BytesIO(png(0)))  # 48 x 40: scaled to 38 x 32, 3 columns cut each side
    expected = np.asarray(picture.resize((38, 32), Image.Resampling.BILINEAR).crop((3, 0, 35, 32)))
    np.testing.assert_array_equal(things.pictures[0], expected)
    pixel = (expected[4, 5] / 255 - np.array(given.MEAN)) / np.array(given.STD)
    np.testing.assert_allclose(things.pixels(0, 1, 32)[0, :, 4, 5], pixel, atol=1e-5)
    np.testing.assert_allclose(
        things.pixels(0, 1, 32, raw=True)[0, :, 4, 5], expected[4, 5] / 255, atol=1e-6
    )
    assert things.texts == ["thing number 0", "thing number 1", "thing number 2"]
    drawn = given.captions_drawn(things)
    assert 0.01 < (drawn.pictures < 128).mean() < 0.5, "black letters on white"
    assert not np.array_equal(drawn.pictures[0], drawn.pictures[1])


def test_refusals(pairs, tmp_path):
    with pytest.raises(UserError, match="no architecture is called 'vit-x'"):
        drawn_encoder("vit-x")
    with pytest.raises(UserError, match="at least two items"):
        given.read_items(pairs, "things", 1, 32)
    short = tmp_path / "short.parquet"
    write_pairs(short, [{"id": ["a", "b"], "image": [png(0), png(1)], "text": [["x"], ["y"]]}])
    with pytest.raises(UserError, match=r"short has 2 items, but things, .*has 5"):
        given.gather_inputs(
            given.noise(5, 0), {"things": pairs, "short": short}, {"things": "short"}, 5, 32
        )
    silent = tmp_path / "silent.parquet"
    write_pairs(silent, [{"id": ["a", "b"], "image": [png(0), png(1)], "text": [["x"], []]}])
    with pytest.raises(UserError, match="silent: an item has no caption"):
        given.read_items(silent, "silent", 2, 32)


@pytest.mark.parametrize("family", ["clip", "resnet"])
def test_trained_weights_are_embedded_as_by_any_other_encoder(pairs, tmp_path, family):
    """Two checkpoints: their rows are those of the chapter `embed`."""
    folders = [make_checkpoint(family, tmp_path / str(seed), seed) for seed in (0, 1)]
    work = Work(batch_size=2, precision="float32")
    found = embed_checkpoints(folders, {"things": str(pairs)}, 5, work, CPU)
    assert {cloud.modality for cloud in found} == set(FAMILIES[family])
    expected = embed_pairs(load_encoder(folders[1]), pairs, work, CPU)
    for cloud, rows in found.items():
        assert rows.shape[:2] == (2, 5)
        every = expected.rows[cloud.modality]
        np.testing.assert_allclose(rows[1], every[:5], atol=NETWORK)


def test_checkpoints_of_two_sizes_are_refused(pairs, tmp_path):
    folders = [make_checkpoint(family, tmp_path / family) for family in ("resnet", "vit")]
    with pytest.raises(UserError, match="differ in the size of their image embeddings of things"):
        embed_checkpoints(folders, {"things": str(pairs)}, 5, Work(), CPU)


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("pooled", [False, True])
def test_the_name_of_a_cloud_says_all_that_it_is(drawn, normalised, pooled):
    cloud = Cloud("a set", "image", drawn, normalised, pooled)
    assert Cloud.parse(str(cloud)) == cloud


def test_store_keeps_everything(tmp_path):
    noise = Cloud("noise", "image")
    tensors = {noise: np.arange(12, dtype=np.float32).reshape(2, 3, 2)}
    save_towers(tmp_path / "a.safetensors", tensors, {"model": "x", "members": [0, 1]})
    found, about = load_towers(tmp_path / "a.safetensors")
    np.testing.assert_array_equal(found[noise], tensors[noise])
    assert about == {"model": "x", "members": [0, 1]}


def test_cone_statistics_against_the_matrix(clouds, monkeypatch):
    rows = clouds(300, 20)[0]
    x = unit_rows(rows)
    cosines = (x @ x.T)[np.triu_indices(300, 1)]
    quartiles = np.quantile(cosines, [0.25, 0.5, 0.75])
    for exact in (1024, 100):  # from the cosines, and streamed
        monkeypatch.setattr("mindgap.cone.cones._EXACT", exact)
        row, counts = cone_row(rows, 50)
        assert row["mean"] == pytest.approx(cosines.mean())
        assert row["sd"] == pytest.approx(cosines.std(), rel=1e-9)
        assert (row["min"], row["max"]) == pytest.approx((cosines.min(), cosines.max()))
        step = np.ptp(cosines) / 4096
        np.testing.assert_allclose(
            [row["q25"], row["median"], row["q75"]], quartiles, atol=2 * step
        )
        expected, _ = np.histogram(cosines, bins=np.linspace(-1, 1, 51))
        assert np.abs(counts - expected).sum() <= 2
        assert row["angle"] == pytest.approx(np.degrees(np.arccos(cosines.mean())))


@pytest.fixture
def stacks():
    """Three initialisations of two towers in orthogonal cones, the same for text."""
    rng = np.random.default_rng(0)
    centres = np.eye(12)[:6].reshape(2, 3, 1, 12)
    stack = (centres + 0.05 * rng.standard_normal((2, 3, 8, 12))).astype(np.float32)
    drawn = {"set captions drawn/image": stack[0][:2]}
    return parsed({"set/image": stack[0], "set/text": stack[1], **drawn})


def test_tables_of_cones_and_gaps(stacks):
    key = {"model": "m", "weights": "random"}
    cones, bars = cone_tables(stacks, key, [0, 1, 2], 40)
    assert len(cones) == 8
    assert bars.groupby(["inputs", "modality", "member"])["share"].sum().tolist() == pytest.approx(
        [1] * 8
    )
    gaps = gap_table(stacks, key, [0, 1, 2], [], 0)
    assert gaps["gap"].tolist() == pytest.approx(
        [
            modality_gap(unit_rows(a), unit_rows(b))
            for a, b in zip(stacks[IMAGE], stacks[Cloud("set", "text")], strict=True)
        ]
    )
    summary = summarise(gaps, ["model", "inputs", "variant", "size"], ["gap"])
    assert summary.loc[0, ["members", "mean", "low", "high"]].tolist() == pytest.approx(
        [3, gaps["gap"].mean(), gaps["gap"].min(), gaps["gap"].max()]
    )


def test_projections_of_any_size_keep_the_gap():
    rng = np.random.default_rng(0)
    image = 0.5 * rng.standard_normal((2, 30, 96)) + rng.standard_normal((2, 1, 96))
    text = 0.5 * rng.standard_normal((2, 30, 64)) + rng.standard_normal((2, 1, 64))
    tensors = {"a/image": image, "a/text": text, "a/image.pooled": image, "a/text.pooled": text}
    tensors["a/image"] = image[..., :64]
    tensors = parsed(tensors)
    gaps = gap_table(tensors, {"model": "m"}, [0, 1], [256, 4096], 0)
    wide = gaps[gaps["variant"] == "projected"].set_index(["size", "member"])["gap"]
    assert sorted(set(gaps["variant"])) == ["built", "projected"]
    # Independent wide projections make the means orthogonal and keep their lengths.
    for member in (0, 1):
        x, y = unit_rows(image[member]), unit_rows(text[member])
        expected = np.sqrt((x.mean(0) ** 2).sum() + (y.mean(0) ** 2).sum())
        assert wide[(4096, member)] == pytest.approx(expected, rel=0.03)
        assert wide[(256, member)] == pytest.approx(expected, rel=0.12)
    again = gap_table(tensors, {"model": "m"}, [0, 1], [256], 0)
    assert again["gap"].tolist() == gaps[gaps["size"] != 4096]["gap"].tolist()


def test_twins_by_hand(stacks):
    table = twin_table(stacks, {"model": "m"}, "set", None)
    rows = table.set_index(["case", "modality", "initialisations"])
    same = rows.loc[("the same inputs", "image", 2)]
    assert same["gap"] == pytest.approx(np.sqrt(2), rel=0.05), "orthogonal cones"
    assert same["pairs"] == 3
    drawn = rows.loc[("pictures, captions drawn", "image", 1)]
    assert drawn["gap"] == pytest.approx(0, abs=1e-9), "the same rows through one initialisation"
    assert drawn["paired_cosine"] == pytest.approx(1)
    assert rows.loc[("pictures, captions drawn", "image", 2)]["gap"] > 1.3
    assert ("two drawings", "image", 1) not in rows.index


def test_separation_of_tight_clouds(stacks):
    row = separation_row(stacks[IMAGE], 1000, 0)
    assert row["between_share"] > 0.9
    assert row["within_cosine"] == pytest.approx(
        np.mean([mean_cosine(unit_rows(r)) for r in stacks[IMAGE]])
    )
    x = np.concatenate([unit_rows(r) for r in stacks[IMAGE]])
    across = (x @ x.T)[np.repeat(np.arange(3), 8)[:, None] != np.repeat(np.arange(3), 8)]
    assert row["between_cosine"] == pytest.approx(across.mean())
    assert row["large_values"] == 2, "one less than the clouds"
    assert row["naming"] == 1
    assert row["chance"] == pytest.approx(7 / 23)
    values = np.linalg.svd(x - x.mean(0), compute_uv=False)
    assert row["first_share"] == pytest.approx(values[0] ** 2 / (values**2).sum())
    assert row["total_variance"] == pytest.approx((values**2).sum() / 24)


def test_one_cloud_cannot_be_named():
    rng = np.random.default_rng(0)
    stack = rng.standard_normal((4, 50, 10)) + 1
    row = separation_row(stack, 1000, 0)
    assert row["naming"] == pytest.approx(row["chance"], abs=0.12)
    assert row["between_share"] < 0.1
    accuracy, chance = name_members(
        unit_rows(stack.reshape(200, 10)), np.repeat(np.arange(4), 50), 60, 0
    )
    assert 0 <= accuracy <= 1
    assert chance == pytest.approx(0.25, abs=0.05)


def test_separation_tables_hold_sets_that_all_members_saw(stacks):
    options = CloudMeasures(neighbour_rows=100, points=12, methods=["pca"], neighbours=5)
    rows, spectra, points = separation_tables(stacks, {"model": "m"}, options, 0)
    assert rows["inputs"].tolist() == ["set", "set"]
    assert len(points) == 2 * 12, "four items of each of three members"
    assert spectra["rank"].max() == 12
    pca = points[points["modality"] == "image"]
    means = pca.groupby("member")[["x", "y"]].mean().to_numpy()
    spread = pca.groupby("member")[["x", "y"]].std().to_numpy().max()
    assert (
        min(np.linalg.norm(means[i] - means[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 5 * spread
    )


def test_mlp_is_one_network_a_seed_on_the_same_rows():
    found = embed_mlp(3, 24, [5, 6], 10, 0, 1)[Cloud("noise", "vector")]
    assert found.shape == (2, 10, 24)
    alone = embed_mlp(3, 24, [6], 10, 0, 1)[Cloud("noise", "vector")][0]
    np.testing.assert_allclose(found[1], alone, atol=NETWORK)
    assert (found >= 0).all()
    assert separation_row(found, 100, 0)["naming"] == 1


@pytest.mark.parametrize("name", ["resnet-tiny", "tiny", "resnet-18"])
def test_picture_sides(name):
    assert picture_side(name) == drawn_encoder(name).side
