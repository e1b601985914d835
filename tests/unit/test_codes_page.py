"""The page of a codebook: what a code names and where it fires; one file, no markup of a user."""

import base64
import io
import json
import re
import runpy
import wave
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mindgap.codebook.examples import read_media
from mindgap.explorer.codes import codes_facts, render_codes
from tests.samples import HOSTILE, planted_codes, resolve


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return planted_codes(tmp_path_factory.mktemp("codes"))


@pytest.fixture(scope="module")
def planted(both):
    return both[0]


@pytest.fixture(scope="module")
def facts(planted):
    return json.loads(json.dumps(codes_facts("<b>mine</b>", **planted)))


def opened(uri):
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_codes_come_in_the_order_of_how_well_they_name(facts, planted):
    assert [one["code"] for one in facts["codes"]] == list(planted["chosen"]["code"]) == [3, 5]
    first = facts["codes"][0]["concepts"]
    assert [(c["concept"], c["f1"], c["null"]) for c in first] == [
        ("colour: red", 0.9, 0.2),
        (HOSTILE, 0.5, 0.1),
    ]
    meaning = facts["codes"][0]["sides"][1]["meaning"]
    assert meaning == [{"concept": "colour: red", "precision": 0.75, "recall": 0.5}]


def test_an_example_is_where_the_code_fires_most(facts, planted):
    for side, own in enumerate(facts["codes"][0]["sides"]):
        codes = planted["codes"][side]
        share = (codes == 3).sum(axis=1) / (codes >= 0).sum(axis=1)
        items = [one["item"] for one in own["examples"]]
        assert items == list(np.argsort(-share, kind="stable")[:2])
        for one in own["examples"]:
            assert one["fires"] == list(np.flatnonzero(codes[one["item"]] == 3))
            assert str(one["item"]) in facts["sides"][side]["items"]
    assert facts["codes"][1]["sides"][0]["examples"] == [], "code 5 never fires in clips"


def test_media_are_what_the_model_saw(facts, planted, both):
    clip = next(iter(facts["sides"][0]["items"].values()))
    assert (len(clip["frames"]), clip["rows"], clip["columns"]) == (2, 4, 4)
    assert opened(clip["frames"][0]).size == (16, 16)
    sound = facts["sides"][1]["items"]["0"]
    assert (len(sound["frames"]), sound["rows"], sound["columns"]) == (1, 1, 10)
    assert opened(sound["frames"][0]).size == (20, planted["inputs"].mels)
    data = base64.b64decode(sound["sound"].removeprefix("data:audio/wav;base64,"))
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnframes(), file.getsampwidth()) == (8000, 4000, 2)
        heard = np.frombuffer(file.readframes(4000), "<i2")
    assert abs(int(heard.max()) - both[1]["loudest"]) <= 1


def test_words_and_foreign_tokens(planted, tmp_path):
    kinds, items = ("text", "features"), (0, 4)
    pairs, inputs = planted["pairs"], planted["inputs"]
    about = {**planted["about"], "kinds": dict(zip(("video", "audio"), kinds, strict=True))}
    media = [read_media(pairs, kind, items, inputs) for kind in kinds]
    found = codes_facts("x", **{**planted, "about": about, "media": media})
    words = found["sides"][0]["items"][0]["words"]
    assert words[:2] == ["caption", "0"] and found["sides"][0]["items"][0]["frames"] == []
    assert found["sides"][1]["items"][0]["words"] == []


def test_text_is_no_markup_and_two_pages_have_the_same_bytes(facts, planted):
    page = render_codes(facts)
    assert page == render_codes(json.loads(json.dumps(codes_facts("<b>mine</b>", **planted))))
    assert HOSTILE not in page and "<b>mine</b>" not in page
    assert page.count("<script") == page.count("</script>") == 2
    assert json.loads(re.search(r'id="facts">(.*?)</script>', page, re.DOTALL)[1]) == facts
    assert not re.search(r"https?://(?!www\.w3\.org/)", page)


def test_the_rule_writes_figure_and_page(root, planted, both, tmp_path):
    files = both[1]["files"]
    output = SimpleNamespace(
        png=tmp_path / "c.png", pdf=tmp_path / "c.pdf", page=tmp_path / "c.html"
    )
    job = SimpleNamespace(
        input=SimpleNamespace(**files, pairs=planted["pairs"]),
        output=output,
        params=SimpleNamespace(inputs=planted["inputs"].model_dump(), shown=1, examples=2),
        wildcards=SimpleNamespace(codebook="mine"),
    )
    runpy.run_path(str(root / "scripts/plot_codes.py"))["main"](job)
    text = output.page.read_text()
    shown = json.loads(re.search(r'id="facts">(.*?)</script>', text, re.DOTALL)[1])
    assert [one["code"] for one in shown["codes"]] == [3, 5], "the figure has one, the page has all"
    assert output.png.stat().st_size > 5000 and output.pdf.exists()


def test_the_codebooks_that_are_shown_have_a_page():
    run = resolve()
    assert run.coded == ["video_audio_matched_s0"]
    wanted = {
        f"results/embedded/{kind}"
        for kind in (
            "explorer/codes/video_audio_matched_s0.html",
            "figures/codes/video_audio_matched_s0.png",
        )
    }
    assert wanted <= set(run.results)
