"""Maps: fit on any rows, saved, read again, applied anywhere."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.covariance import ledoit_wolf
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import mindgap
from mindgap.downstream import rows as blocks
from mindgap.downstream.methods import METHODS
from mindgap.downstream.rows import UnitRows, cross_moment
from mindgap.gap.cosines import unit_rows
from mindgap.runtime.errors import UserError

NAMES = [*METHODS, "drop_3"]


@pytest.fixture
def pair(clouds):
    return clouds(200, 12)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 37)


def test_moments_are_those_of_the_whole_array(pair, small_blocks):
    x, y = pair
    a, b = UnitRows(x), UnitRows(y)
    ux, uy = unit_rows(x), unit_rows(y)
    close = {"rtol": 1e-12, "atol": 1e-14}
    np.testing.assert_allclose(a.mean, ux.mean(axis=0), **close)
    np.testing.assert_allclose(a.variance, ux.var(axis=0), **close)
    np.testing.assert_allclose(a.covariance, ledoit_wolf(ux)[0], **close)
    np.testing.assert_allclose(cross_moment(a, b), ux.T @ uy, **close)


def test_a_covariance_of_fewer_rows_than_dimensions(clouds):
    x = clouds(8, 30)[0]
    np.testing.assert_allclose(
        UnitRows(x).covariance, ledoit_wolf(unit_rows(x))[0], rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("renormalise", [True, False])
def test_a_map_survives_its_file(pair, name, renormalise, tmp_path):
    x, y = pair
    found = mindgap.fit(name, x, y, renormalise=renormalise)
    found.save(tmp_path / "map.safetensors")
    again = mindgap.load_map(tmp_path / "map.safetensors")
    assert again.get_params() == found.get_params()
    assert again.fit_on_ == {"pairs": 200, "mindgap": mindgap.__version__}
    for modality, rows in (("image", x), ("text", y)):
        np.testing.assert_array_equal(
            again.transform(rows, modality), found.transform(rows, modality)
        )


def test_another_process_maps_to_the_same_bytes(pair, tmp_path):
    x, y = pair
    np.save(tmp_path / "x.npy", x)
    found = mindgap.fit("whitening", x, y)
    found.save(tmp_path / "map.safetensors")
    code = (
        "import sys, numpy, mindgap; f = mindgap.load_map('map.safetensors');"
        "numpy.save('out.npy', f.transform(numpy.load('x.npy'), 'image'));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), found.transform(x, "image"))


@pytest.mark.parametrize("name", NAMES)
def test_the_norm_of_a_row_says_nothing(pair, name):
    x, y = pair
    found = mindgap.fit(name, x, y)
    scaled = mindgap.fit(name, 7 * x, y * np.linspace(0.1, 9, len(y))[:, None])
    for modality, rows in (("image", x), ("text", y)):
        np.testing.assert_allclose(
            scaled.transform(3 * rows, modality), found.transform(rows, modality), atol=2e-4
        )


def test_the_maps_do_what_their_names_say(pair):
    x, y = (rows.astype(float) for rows in pair)
    ux, uy = unit_rows(x), unit_rows(y)

    def moved(name):
        found = mindgap.fit(name, x, y, renormalise=False)
        return found.transform(x, "image"), found.transform(y, "text")

    a, b = moved("none")
    np.testing.assert_allclose(a, ux, atol=1e-15)
    a, b = moved("shift")
    np.testing.assert_allclose(a.mean(0), (ux.mean(0) + uy.mean(0)) / 2, atol=1e-14)
    np.testing.assert_allclose(b.mean(0), a.mean(0), atol=1e-14)
    a, b = moved("centring")
    np.testing.assert_allclose([a.mean(0), b.mean(0)], 0, atol=1e-14)
    a, b = moved("standardising")
    np.testing.assert_allclose([a.std(0), b.std(0)], 1, rtol=1e-12)
    a, b = moved("realign")
    np.testing.assert_allclose(b.mean(0), ux.mean(0), atol=1e-14)
    np.testing.assert_allclose(b.var(0).sum(), ux.var(0).sum(), rtol=1e-12)
    a, b = moved("procrustes")
    np.testing.assert_allclose(b @ b.T, uy @ uy.T, atol=1e-13)  # a turn keeps all cosines
    assert ((a - b) ** 2).sum() < ((ux - uy) ** 2).sum()
    a, b = moved("drop_3")
    assert (~a.any(axis=0)).sum() == (~b.any(axis=0)).sum() == 3


def test_renormalised_rows_are_unit_rows(pair):
    x, y = pair
    mapped = mindgap.fit("centring", x, y).transform(x, "image")
    assert mapped.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(mapped, axis=1), 1, atol=2e-7)


def test_scikit_learns_conventions(pair):
    x, y = pair
    found = mindgap.ModalityMap("centring", modality="text").fit(x, y)
    unfitted = clone(found)
    assert unfitted.get_params() == found.get_params()
    with pytest.raises(UserError, match="call fit"):
        unfitted.transform(x)
    chain = make_pipeline(FunctionTransformer(), mindgap.ModalityMap("shift", modality="image"))
    np.testing.assert_array_equal(
        chain.fit(x, y).transform(x), mindgap.fit("shift", x, y).transform(x, "image")
    )


def test_half_precision_and_integers(pair):
    x, y = pair
    found = mindgap.fit("centring", x.astype(np.float16), y.astype(np.float16))
    assert found.transform(x.astype(np.float16), "image").dtype == np.float32
    np.testing.assert_allclose(
        found.transform(x, "image"), mindgap.fit("centring", x, y).transform(x, "image"), atol=3e-3
    )


def test_tensors_of_torch(pair):
    torch = pytest.importorskip("torch")
    x, y = pair
    given = [torch.from_numpy(rows).requires_grad_() for rows in (x, y)]
    assert (
        mindgap.measure(*given, bootstrap=10)["gap"] == mindgap.measure(x, y, bootstrap=10)["gap"]
    )
    half = mindgap.measure(*(rows.bfloat16() for rows in given), bootstrap=10)["gap"]
    assert half == pytest.approx(mindgap.measure(x, y, bootstrap=10)["gap"], abs=1e-2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: mindgap.fit("centrng", x, y), "did you mean 'centring'"),
        (lambda x, y: mindgap.fit("drop_12", x, y), "1 to 11 can be dropped"),
        (lambda x, y: mindgap.fit("centring", x, y[:-1]), r"image 200, text 199"),
        (lambda x, y: mindgap.fit("centring", x, y[:, :-1]), "different dimensions"),
        (lambda x, y: mindgap.fit("shift", x, y).transform(x, "audio"), "not 'audio'"),
        (lambda x, y: mindgap.fit("shift", x, y).transform(x[:, 1:], "text"), "12"),
        (lambda x, y: mindgap.fit("shift", x, x * 0), "rows 0, 1, 2 and 197 more"),
        (lambda x, y: mindgap.fit("shift", x, y).transform(x * np.nan), "NaN"),
        (lambda x, y: mindgap.measure(x), "one array only"),
        (lambda x, y: mindgap.measure({"image": x}), "one modality only"),
        (lambda x, y: mindgap.measure({"image": x}, y), "either"),
        (lambda x, y: mindgap.measure(x[0], y[0]), r"got \(12,\)"),
        (lambda x, y: mindgap.measure(x + 1j, y), "complex64"),
        (lambda x, y: mindgap.load_map("nowhere.safetensors"), "no such file"),
    ],
)
def test_a_mistake_is_one_sentence(pair, call, words):
    with pytest.raises(UserError, match=words):
        call(*pair)


def test_another_file_is_no_map(pair, tmp_path):
    from safetensors.numpy import save_file

    save_file({"a": pair[0]}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="holds no map"):
        mindgap.load_map(tmp_path / "a.safetensors")
    np.save(tmp_path / "rows.npy", pair[0])
    with pytest.raises(UserError, match=r"holds no map.*header"):
        mindgap.load_map(tmp_path / "rows.npy")


def test_the_command_from_two_files_to_mapped_rows(pair, tmp_path):
    for name, rows in zip("xy", pair, strict=True):
        np.save(tmp_path / f"{name}.npy", rows)

    def call(*words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "mindgap.cli", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    found = json.loads(call("measure", "x.npy", "y.npy", "--bootstrap", "20", "--json"))
    assert found[0]["gap"] == mindgap.measure(*pair, bootstrap=20)["gap"]
    assert f"{found[0]['gap']:.4f}" in call("measure", "a=x.npy", "b=y.npy", "--bootstrap", "20")
    assert "mindgap apply" in call("fit", "centring", "x.npy", "y.npy", "--out", "m.safetensors")
    call("apply", "m.safetensors", "y.npy", "moved.npy", "--modality", "text")
    np.testing.assert_array_equal(
        np.load(tmp_path / "moved.npy"), mindgap.fit("centring", *pair).transform(pair[1], "text")
    )
    before = sorted(tmp_path.iterdir())
    for words in (
        ("apply", "m.safetensors", "y.npy", "other.npy", "--modality", "audio"),
        ("measure", "x.npy", "nothing.npy"),
        ("fit", "centring", "x.npy", "y.npy", "x.npy"),
    ):
        message = call(*words, code=1)
        assert message.startswith("error: ") and message.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
