"""The front page of a run in a real browser."""

import json

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")

from mindgap.report.front import Picture, render
from mindgap.report.rollup import roll_up
from tests.samples import HOSTILE, picture

FIGURES = [
    {"paper": "MTG", "name": "Fig 1", "about": "clouds", "figures": ["Fig 1"], "file": ["a#1.png"]}
]
CLAIM = {"id": "one", "paper": "MTG", "figure": "Fig 1", "class": "empirical", "evidence": "P"}
CLAIM |= {"published": 1.0, "measured": 1.1, "tolerance": "±1", "verdict": "reproduced"}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a#1.png").write_bytes(picture(size=(900, 300)))
    shown = [Picture("a#1.png", HOSTILE, HOSTILE, [CLAIM])] * 6
    lines = roll_up([CLAIM], FIGURES, {"a#1.png"}.__contains__)
    page = render("mine", tmp_path, ["a#1.png", "gap/gap.csv"], [CLAIM], lines, shown)
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    return tmp_path / "index.html"


def test_the_page_opens_from_disk_and_runs_nothing(browser, path):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())
    code = "return [...document.images].map((one) => one.complete && one.naturalWidth)"
    assert browser.execute_script(code) == [900] * 6
    assert browser.title == "mine: the modality gap"
    assert browser.execute_script("return document.querySelector('h3').textContent") == HOSTILE
    assert browser.execute_script("return document.scripts.length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert [e for e in browser.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    link = "return document.querySelector('figure a').href"
    assert browser.execute_script(link).endswith("/a%231.png")
    browser.get(browser.execute_script(link))
    assert browser.execute_script("return document.images[0].naturalWidth") == 900
