"""The explorer's numbers against other code and closed forms; its page: one file, no markup of a user."""

import base64
import io
import json
import re
import runpy
import subprocess
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import mindgap
from mindgap.data.pairs import write_pairs
from mindgap.downstream.trial import Rows, accuracy, split, try_rows
from mindgap.embed.store import Embeddings, save_embeddings
from mindgap.explorer.media import (
    SIDE,
    draw_thumbnails,
    find_pictures,
    read_captions,
    read_media,
    shorten,
)
from mindgap.explorer.page import as_json
from mindgap.explorer.states import Pairs, Plane, explore_pair, measure_state, shifted_points
from mindgap.gap.cosines import unit_rows
from mindgap.gap.retrieval import match_ranks
from mindgap.runtime.errors import UserError
from tests.samples import film, picture, resolve, sound

SHIFTS = np.array([-0.7, 0.0, 0.4, 1.3])
N = 61
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>&lt;\u2028"


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    shared, offset = rng.standard_normal((N, 9)), 1.4 * rng.standard_normal(9)
    return [
        unit_rows(shared + 0.9 * rng.standard_normal((N, 9)) + side * offset) for side in (0, 1)
    ]


@pytest.fixture(scope="module")
def labels():
    return np.arange(N) % 3


@pytest.fixture(scope="module")
def found(rows, labels):
    pairs = Pairs.of(*rows, labels, text_share=0.3, seed=5)
    return explore_pair(pairs, SHIFTS)


def moved(rows, shift):
    x, y = rows
    u = x.mean(axis=0) - y.mean(axis=0)
    u /= np.linalg.norm(u)
    return unit_rows(x - shift / 2 * u), unit_rows(y + shift / 2 * u)


def facts_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)[1])


def unpacked(text, kind, *shape):
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def inflated(text, *shape):
    """Whole numbers of several states, from the differences between one and the next."""
    changes = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").reshape(shape)
    return np.cumsum(changes, axis=0, dtype=np.uint16)


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("k", range(len(SHIFTS)))
def test_a_shift_is_what_moved_rows_measure(rows, found, k):
    """All of it computed again from rows that were moved and normalised one by one."""
    x, y = moved(rows, SHIFTS[k])
    state, items = found.states[k], np.arange(N)
    measured = mindgap.measure(x, y, bootstrap=50)
    numbers = state.numbers
    assert abs(numbers["gap"]) == pytest.approx(measured["gap"], abs=1e-9)
    assert numbers["cosine"] == pytest.approx(measured["cosine_matched"], abs=1e-9)
    for way in ("ab", "ba"):
        assert numbers[f"recall_{way}"] == measured[f"recall_at_1_{way}"]
    np.testing.assert_array_equal(state.ranks[0], match_ranks(x, y, items, items))
    np.testing.assert_array_equal(state.ranks[1], match_ranks(y, x, items, items))


@pytest.mark.parametrize("k", range(len(SHIFTS)))
def test_the_mixed_corpus_is_that_of_a_trial(rows, found, k):
    order = np.random.default_rng(5).permutation(N)
    trial = try_rows(Rows(*(z[order] for z in moved(rows, SHIFTS[k]))), 0.3, N)
    gains = np.concatenate(list(trial.gains.values()))
    assert found.states[k].numbers["ndcg"] == pytest.approx(gains.mean(), abs=1e-12)
    assert 0 < gains.mean() < 1


@pytest.mark.parametrize("k", range(len(SHIFTS)))
def test_classes_move_with_the_texts(rows, labels, found, k):
    x, y = rows
    fit_on, held = split(N, 0.5, 5)
    classes = np.stack([y[fit_on][labels[fit_on] == c].mean(axis=0) for c in range(3)])
    u = Plane.of(x, y).u
    classes = unit_rows(unit_rows(classes) + SHIFTS[k] / 2 * u)
    pictures = moved(rows, SHIFTS[k])[0][held]
    hits = accuracy(pictures, classes, labels[held])
    assert found.states[k].numbers["accuracy"] == pytest.approx(hits.mean(), abs=1e-12)


@pytest.mark.parametrize("k", range(len(SHIFTS)))
def test_nearest_rows_are_those_of_a_full_sort(rows, found, k):
    sets = moved(rows, SHIFTS[k])
    for way, (a, b) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        cosines = sets[a] @ sets[b].T
        if a == b:
            np.fill_diagonal(cosines, -2)
        expected = np.argsort(-cosines, axis=1)[:, :5]
        np.testing.assert_array_equal(found.states[k].nearest[way], expected)


def test_ties_are_misses():
    """Equal rows: every partner has the last rank, and nothing is retrieved."""
    same = np.ones((6, 6))
    state = measure_state(same, same, same, np.arange(6) < 3)
    assert (state.ranks == 5).all()
    assert state.numbers["recall_ab"] == state.numbers["recall_ba"] == 0
    for k, row in enumerate(state.nearest[0]):
        assert k not in row and len(set(row)) == 5


def test_methods_are_those_of_compare_fixes(rows, labels, found):
    """Held-out numbers of the door that decides; same split, same corpus."""
    fixes = mindgap.compare_fixes(*rows, labels, text_share=0.3, seed=5)
    uses = {
        "recall_ab": "retrieval a to b",
        "recall_ba": "retrieval b to a",
        "ndcg": "mixed corpus",
        "accuracy": "zero-shot",
    }
    assert {method.name for method in found.methods} >= {"none", "centring", "procrustes"}
    for method in found.methods:
        for name, use in uses.items():
            expected = fixes.find(method.name, use)["estimate"]
            assert method.state.numbers[name] == pytest.approx(expected, abs=1e-12), method.name
    held = np.sort(split(N, 0.5, 5)[1])
    np.testing.assert_array_equal(found.held, held)
    assert np.isin(found.methods[0].state.nearest, held).all()
    x, y = (z[held] for z in rows)
    np.testing.assert_allclose(found.methods[0].points[0], found.points[0][:, held])
    gap = np.linalg.norm(x.mean(axis=0) - y.mean(axis=0))
    assert found.methods[0].state.numbers["gap"] == pytest.approx(gap, abs=1e-12)


def test_the_loss_is_that_of_the_landscape(rows, found, tmp_path):
    options = {"shifts": SHIFTS, "inverse_temperatures": (100, 7), "batch": 20}
    expected = mindgap.landscape(*rows, **options)
    (pair,) = facts_of(mindgap.explore(*rows, path=tmp_path / "page.html", **options))["pairs"]
    (loss,) = pair["losses"]
    assert (loss["shifts"], loss["scales"], loss["batch"]) == (SHIFTS.tolist(), [100, 7], 20)
    np.testing.assert_allclose(loss["loss"], expected.loss, rtol=1e-9)
    gaps = [state.numbers["gap"] for state in found.states]
    np.testing.assert_allclose(gaps, expected.distance, atol=1e-9)
    np.testing.assert_allclose(loss["distance"], expected.distance, rtol=1e-9)
    assert gaps[-1] < 0 < gaps[0]


def test_the_plane_has_the_gap_and_the_widest_direction_across_it(rows):
    x, y = rows
    plane = Plane.of(x, y)
    assert plane.u @ plane.v == pytest.approx(0, abs=1e-12)
    assert np.linalg.norm([plane.u, plane.v], axis=1) == pytest.approx(1)
    across = np.concatenate([x - x.mean(axis=0), y - y.mean(axis=0)])
    across -= np.outer(across @ plane.u, plane.u)
    largest = np.linalg.svd(across, compute_uv=False)[0]
    assert np.linalg.norm(across @ plane.v) == pytest.approx(largest, rel=1e-9)
    flipped = Plane.of(y, x)
    np.testing.assert_allclose(flipped.u, -plane.u, atol=1e-12)
    np.testing.assert_allclose(flipped.v, plane.v, atol=1e-9)


@pytest.mark.parametrize("d", [1, 2])
def test_a_plane_of_few_dimensions(d):
    rng = np.random.default_rng(0)
    x, y = unit_rows(rng.normal(2, 1, (20, d))), unit_rows(rng.normal(-1, 1, (20, d)))
    plane = Plane.of(x, y)
    assert np.linalg.norm(plane.v) == pytest.approx(d - 1)


def test_points_move_as_rows_do(rows):
    plane = Plane.of(*rows)
    for shift in SHIFTS:
        for z, new, by in zip(rows, moved(rows, shift), (-shift / 2, shift / 2), strict=True):
            found = shifted_points(plane.points(z), by)
            np.testing.assert_allclose(found, plane.points(new), atol=1e-12)


def test_the_real_clip_is_lowest_where_it_was_published(published, tmp_path):
    """Batches of 50 of 500 pairs, mean of both directions: tests/golden/test_landscape.py."""
    x, y = np.load(published("features_clip.npy"))
    grid, scales = np.arange(-5, 5, 0.25), (100, 1)
    page = mindgap.explore(
        x, y, shifts=grid, inverse_temperatures=scales, batch=50, path=tmp_path / "page.html"
    )
    (pair,) = facts_of(page)["pairs"]
    (loss,) = pair["losses"]
    assert pair["shifts"] == loss["shifts"] == grid.tolist()
    lowest = np.array(loss["loss"]).argmin(axis=0)
    assert [round(loss["distance"][k], 3) for k in lowest] == [0.851, 0.115]
    still = pair["states"]["numbers"][pair["shifts"].index(0)]
    assert still["gap"] == pytest.approx(0.8514, abs=5e-5)
    assert (still["recall_ab"], still["recall_ba"]) == (0.552, 0.506)


# ------------------------------------------------------------------ the page


@pytest.fixture(scope="module")
def page(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    captions = [HOSTILE, *(f"caption {k}" for k in range(1, N))]
    names = {"image": rows[0], "<b>text</b>": rows[1]}
    return mindgap.explore(names, captions=captions, path=path)


def test_the_page_holds_what_was_computed(rows, page):
    facts = facts_of(page)
    (pair,) = facts["pairs"]
    assert facts["rows"] == list(range(N)) and facts["total"] == N
    assert pair["shifts"] == [round(-1 + k / 10, 10) for k in range(26)]
    plane = Plane.of(*rows)
    points = unpacked(pair["points"][1], "<f8", 2, N)
    np.testing.assert_allclose(points, plane.points(rows[1]), atol=1e-12)
    items, shifts = np.arange(N), len(pair["shifts"])
    ranks = inflated(pair["states"]["ranks"], shifts, 2, N)
    nearest = inflated(pair["states"]["nearest"], shifts, 4, N, 5)
    for k, shift in enumerate(pair["shifts"]):
        x, y = moved(rows, shift)
        np.testing.assert_array_equal(ranks[k, 0], match_ranks(x, y, items, items))
        np.testing.assert_array_equal(nearest[k, 1], np.argsort(-x @ y.T, axis=1)[:, :5])
    held = unpacked(pair["held"], "<u2", -1)
    methods = pair["methods"]["names"]
    lists = inflated(pair["methods"]["nearest"], len(methods), 4, len(held), 5)
    assert methods[0] == "none" and np.isin(lists, held).all()
    low, high = np.array(pair["range"]).T
    assert (low < points.min(axis=1)).all() and (points.max(axis=1) < high).all()


def test_text_of_a_user_never_becomes_markup(page):
    text = page.read_text()
    assert facts_of(page)["captions"][0] == HOSTILE.replace("\u2028", " ").strip()
    assert "alert(1)</script>" not in text and "<img src=x" not in text and "<b>text" not in text
    assert text.count("</script>") == 4


def test_any_caption_can_be_written(rows, tmp_path):
    captions = ["\ud800", None, 3, "\x00", "猫"] + [""] * (N - 5)
    page = mindgap.explore(*rows, captions=captions, path=tmp_path / "page.html")
    assert facts_of(page)["captions"][:5] == ["?", "None", "3", "\x00", "猫"]


def test_no_text_ends_a_script():
    text = as_json([HOSTILE])
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == [HOSTILE]


def test_the_page_names_no_host(page):
    hosts = set(re.findall(r"(?:https?:|wss?:)?//([a-z0-9-]+(?:\.[a-z0-9-]+)+)", page.read_text()))
    assert hosts <= {"www.w3.org"}, "beside the names of XML namespaces"
    tags = re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text().split("<script>")[0])
    assert [tag for tag in tags if "src=" in tag] == []
    assert [tag for tag in tags if "href=" in tag] == ['<link rel="icon" href="data:,">']


def test_two_runs_give_the_same_bytes(rows, page, tmp_path):
    """In one process, where ids go on counting, and in another one."""
    np.save(tmp_path / "x.npy", rows[0])
    np.save(tmp_path / "y.npy", rows[1])
    call = "import mindgap, numpy as np; mindgap.explore(np.load('x.npy'), np.load('y.npy'), path='2.html')"
    subprocess.run([sys.executable, "-c", call], cwd=tmp_path, check=True)
    for _ in range(2):
        mindgap.explore(*rows, path=tmp_path / "1.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_more_pairs_than_a_page_shows_are_sampled(monkeypatch, rows, tmp_path):
    monkeypatch.setattr("mindgap.explorer.build.MOST", 20)
    captions = [f"caption {k}" for k in range(N)]
    labels = np.repeat(["a", "b", "c", "d"], [28, 28, 4, 1])
    seen = []
    for seed in (0, 0, 1):
        page = mindgap.explore(
            *rows, labels if seed else None, captions=captions, seed=seed, path=tmp_path / "p.html"
        )
        facts = facts_of(page)
        assert facts["total"] == N and len(facts["rows"]) == 20
        assert facts["captions"] == [f"caption {row}" for row in facts["rows"]]
        seen.append(facts["rows"])
    assert seen[0] == seen[1] != seen[2]


def test_each_two_of_three_modalities(rows, tmp_path):
    x, y = rows
    page = mindgap.explore(
        {"image": x, "text": y, "audio": unit_rows(x + 3)}, path=tmp_path / "p.html"
    )
    pairs = facts_of(page)["pairs"]
    assert [pair["names"] for pair in pairs] == [
        ["image", "text"],
        ["image", "audio"],
        ["text", "audio"],
    ]
    assert len({colour for pair in pairs for colour in pair["colours"]}) == 3


def test_a_thousand_pairs_with_thumbnails_fit(tmp_path):
    """Pictures of noise are the worst case for their format; real ones are smaller."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    folder.mkdir()
    coarse = rng.integers(0, 255, (1000, 12, 12, 3), np.uint8)
    for k, pixels in enumerate(coarse):
        Image.fromarray(pixels).resize((96, 72)).save(folder / f"{k}.png")
    shared = rng.standard_normal((1000, 16))
    x, y = shared + rng.standard_normal((1000, 16)) + 1, shared
    page = mindgap.explore(
        x, y, thumbnails=folder, captions=["two dogs run " * 5] * 1000, path=tmp_path / "page.html"
    )
    assert page.stat().st_size <= 6e6
    facts = facts_of(page)
    assert all(uri.startswith("data:image/webp;base64,") for uri in facts["thumbnails"])


# ------------------------------------------------------------------ captions and pictures


def test_captions_of_a_text_file_and_of_a_table(tmp_path):
    (tmp_path / "c.txt").write_text("one\n\nthree, four\n")
    assert read_captions(str(tmp_path / "c.txt")) == ["one", "", "three, four"]
    table = tmp_path / "c.csv"
    table.write_text('id,caption\n1,"a, b"\n2,"c\nd"\n')
    assert read_captions(f"{table}#caption") == ["a, b", "c\nd"]
    with pytest.raises(UserError, match=r"2 columns \(it has: id, caption\); name one: .*#column"):
        read_captions(str(table))
    with pytest.raises(UserError, match="no column 'text'"):
        read_captions(f"{table}#text")
    with pytest.raises(UserError, match="no such file"):
        read_captions(str(tmp_path / "d.txt"))
    assert shorten("a\n b" + "c" * 500) == "a b" + "c" * 296 + "…"


def draw(folder, *names, size=(60, 30), mode="RGB"):
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(names):
        Image.new(mode, size, (40 * k,) * len(mode)).save(folder / name)
    return folder


def test_pictures_are_found_by_number_or_by_order(tmp_path):
    numbered = draw(tmp_path / "a", "10.png", "2.png")
    assert {row: path.name for row, path in find_pictures(numbered, 12).items()} == {
        10: "10.png",
        2: "2.png",
    }
    # From 1 on, or any other numbers: as many as rows, in their order.
    assert [path.name for path in find_pictures(numbered, 2).values()] == ["2.png", "10.png"]
    named = draw(tmp_path / "b", "b.png", "a.png")
    (named / ".hidden").touch()
    assert [path.name for path in find_pictures(named, 2).values()] == ["a.png", "b.png"]
    with pytest.raises(UserError, match="2 files for 3 rows"):
        find_pictures(named, 3)
    with pytest.raises(UserError, match="no such folder"):
        find_pictures(tmp_path / "c", 3)


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_a_thumbnail_is_small_and_keeps_its_shape(tmp_path):
    folder = draw(tmp_path / "a", "0.png", mode="RGBA")
    first, second = draw_thumbnails(find_pictures(folder, 2), [0, 1])
    assert second is None
    small = opened(first)
    assert small.size == (SIDE, SIDE // 2)
    assert small.getpixel((5, 5)) == (255, 255, 255)  # transparent: the page is white


def test_no_picture_is_one_sentence(tmp_path):
    (tmp_path / "0.png").write_text("<svg onload=alert(1)>")
    with pytest.raises(UserError, match=r"0\.png is not a readable picture"):
        draw_thumbnails(find_pictures(tmp_path, 2), [0, 1])


# ------------------------------------------------------------------ a run


def test_the_media_of_a_set(tmp_path):
    """Some items of a pairs table: the first caption, the picture or the clip's first frame."""
    pictures = [None if k == 5 else picture(size=(80, 40), seed=k) for k in range(300)]
    texts = [[f"first {k}", "second"] for k in range(300)]
    write_pairs(tmp_path / "a.parquet", [{"image": pictures, "text": texts}])
    items = np.array([3, 5, 299])
    captions, thumbnails, sounds = read_media(tmp_path / "a.parquet", items, ["audio"]).values()
    assert sounds is None
    assert captions == ["first 3", "first 5", "first 299"]
    assert thumbnails[1] is None and thumbnails[0] != thumbnails[2]
    assert opened(thumbnails[2]).size == (48, 24)
    write_pairs(tmp_path / "b.parquet", [{"audio": [b"1", b"2"]}])
    assert set(read_media(tmp_path / "b.parquet", np.array([1])).values()) == {None}
    write_pairs(tmp_path / "c.parquet", [{"video": [film(), film()]}])
    found = read_media(tmp_path / "c.parquet", np.array([1]))
    (clip,) = found["thumbnails"]
    assert found["captions"] is None and opened(clip).size == (32, 24)
    assert opened(clip).n_frames == 4, "a clip moves"


def test_what_a_model_sees_and_hears_is_shown(tmp_path, monkeypatch):
    """The clip in place of the picture, sounds as far as there is room for them."""
    samples = (np.sin(np.arange(800) / 3) * 20000).astype("<i2")
    columns = {
        "image": [picture(size=(40, 40))] * 3,
        "video": [film(size=(32, 24))] * 3,
        "audio": [sound(samples.tobytes())] * 3,
    }
    write_pairs(tmp_path / "a.parquet", [columns])
    read = lambda *modalities: read_media(tmp_path / "a.parquet", np.arange(3), modalities)  # noqa: E731
    assert opened(read("text", "image")["thumbnails"][0]).size == (40, 40)
    assert read("text", "image")["sounds"] is None
    found = read("video", "audio")
    assert opened(found["thumbnails"][0]).size == (32, 24)
    (data,) = {base64.b64decode(one.partition(",")[2]) for one in found["sounds"]}
    np.testing.assert_allclose(np.frombuffer(data[44:], "<i2"), samples, atol=1)
    monkeypatch.setattr("mindgap.explorer.media.SOUND_BYTES", 2 * len(found["sounds"][0]))
    assert read("audio")["sounds"] == [*found["sounds"][:2], None]


def test_the_page_of_a_model_reads_the_tables_of_its_run(root, rows, tmp_path, monkeypatch):
    """Every grid in which both modalities move, as the tables have it; items with several captions."""
    monkeypatch.setattr("mindgap.explorer.build.MOST", 30)
    x, y = rows
    texts = np.repeat(np.arange(N), 2)
    several = Embeddings(
        {"image": x, "text": y[texts] + 0.01 * np.arange(2 * N)[:, None] % 2},
        {"text": texts},
        {"modalities": ["image", "text"]},
    )
    save_embeddings(tmp_path / "e.safetensors", several)
    write_pairs(tmp_path / "p.parquet", [{"text": [[f"caption {k}"] for k in range(N)]}])
    tables = []
    for name, scales, sides in (("one", (100, 7), "both"), ("two", (3,), "both"), ("b", (3,), "b")):
        found = mindgap.landscape(
            x, several.first("text"), shifts=SHIFTS, inverse_temperatures=scales, sides=sides
        )
        table = found.to_frame().assign(landscape=name, sides=sides, n=N, batch=20)
        tables += [table.assign(direction=kind) for kind in ("mean", "ab")]
    pd.concat(tables).to_csv(tmp_path / "l.csv", index=False)
    files = {"embeddings": "e.safetensors", "landscape": "l.csv", "pairs": "p.parquet"}
    one = {"model": "<i>", "dataset": "set"} | {k: tmp_path / file for k, file in files.items()}
    job = SimpleNamespace(
        output=[tmp_path / "page.html"], params=SimpleNamespace(seed=4, pages=[one]), threads=1
    )
    runpy.run_path(str(root / "scripts/explore_pairs.py"))["main"](job)
    facts = facts_of(tmp_path / "page.html")
    assert (facts["name"], facts["total"], len(facts["rows"])) == ("<i> on set", N, 30)
    assert "<i> on set" not in (tmp_path / "page.html").read_text()
    assert facts["captions"] == [f"caption {row}" for row in facts["rows"]]
    (pair,) = facts["pairs"]
    assert [(loss["name"], loss["scales"]) for loss in pair["losses"]] == [
        ("one", [100, 7]),
        ("two", [3]),
    ]
    expected = mindgap.landscape(
        x, several.first("text"), shifts=SHIFTS, inverse_temperatures=(100, 7)
    )
    np.testing.assert_allclose(pair["losses"][0]["loss"], expected.loss, rtol=1e-12)
    np.testing.assert_allclose(pair["losses"][0]["distance"], expected.distance, rtol=1e-12)
    plane = Plane.of(x[facts["rows"]], unit_rows(several.first("text")[facts["rows"]]))
    points = unpacked(pair["points"][0], "<f8", 2, 30)
    np.testing.assert_allclose(points, plane.points(x[facts["rows"]]), atol=1e-6)


def test_own_embeddings_of_several_modalities_have_a_choice_of_the_pair(root, rows, tmp_path):
    """A run sweeps no loss of theirs: the page has that of all pairs as one batch."""
    three = dict(zip(("image", "text", "audio"), (*rows, rows[0] + rows[1]), strict=True))
    save_embeddings(tmp_path / "e.safetensors", Embeddings(three, {}, {"modalities": list(three)}))
    one = {"model": "mine", "dataset": "own", "landscape": None, "pairs": None}
    one["embeddings"] = tmp_path / "e.safetensors"
    job = SimpleNamespace(
        output=[tmp_path / "page.html"], params=SimpleNamespace(seed=4, pages=[one]), threads=1
    )
    runpy.run_path(str(root / "scripts/explore_pairs.py"))["main"](job)
    pairs = facts_of(tmp_path / "page.html")["pairs"]
    assert [pair["names"] for pair in pairs] == [
        ["image", "text"],
        ["image", "audio"],
        ["text", "audio"],
    ]
    expected = mindgap.landscape(
        three["text"], three["audio"], shifts=pairs[2]["losses"][0]["shifts"]
    )
    np.testing.assert_allclose(pairs[2]["losses"][0]["loss"], expected.loss, rtol=1e-5)
    own = {f"m{k}": f"m{k}.npy" for k in range(3)}
    run = resolve(
        {"models": {"mine": {"kind": "arrays", "modalities": own}}, "select": {"models": ["mine"]}}
    )
    assert run.explored == [("mine", "own")]


def test_trained_models_have_a_page_each():
    run = resolve()
    assert ("clip", "mscoco") in run.explored and ("clip_small", "held_out") in run.explored
    assert "results/embedded/explorer/clip/mscoco.html" in run.results
    assert not [model for model, _ in run.explored if "random" in model]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"captions": ["a"]}, "1 captions for 61 rows"),
        ({"labels": [1, 2]}, "one for each of 61 pairs"),
        ({"text_share": 1.5}, "a share between 0 and 1"),
        ({"shifts": [float("nan")]}, "shifts must be between"),
        ({"batch": 62}, "batch must be between 2 and the 61 pairs"),
        ({"inverse_temperatures": [0]}, "inverse temperatures must be above 0"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_no_page(rows, tmp_path, more, words):
    with pytest.raises(UserError, match=words):
        mindgap.explore(*rows, path=tmp_path / "page.html", **more)
    assert not list(tmp_path.iterdir())


def test_the_library_is_asked_for(rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "bokeh", None)
    with pytest.raises(UserError, match=r"the explorer needs bokeh: pip install 'mindgap\[plot\]'"):
        mindgap.explore(*rows, path=tmp_path / "page.html")


def test_the_command(rows, tmp_path):
    for name, each in zip(("x", "y", "labels"), (*rows, np.arange(N) % 2), strict=True):
        np.save(tmp_path / f"{name}.npy", each)
    draw(tmp_path / "pictures", "3.png")
    (tmp_path / "c.txt").write_text("".join(f"caption {k}\n" for k in range(N)))
    words = (
        "explore x.npy y.npy -o p.html --captions c.txt --thumbnails pictures --labels labels.npy"
    )
    call = [sys.executable, "-c", "from mindgap.cli import main; main()"]
    done = subprocess.run([*call, *words.split()], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("p.html: ")
    facts = facts_of(tmp_path / "p.html")
    assert facts["captions"][3] == "caption 3"
    assert [row for row, uri in enumerate(facts["thumbnails"]) if uri] == [3]
    assert "accuracy" in facts["pairs"][0]["states"]["numbers"][0]
    words = "explore x.npy y.npy -o q.html --captions none.txt"
    done = subprocess.run([*call, *words.split()], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "error: none.txt: no such file\n")
    assert not (tmp_path / "q.html").exists()
