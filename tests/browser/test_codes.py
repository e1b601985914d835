"""The page of a codebook in a real browser."""

import json

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from mindgap.explorer.codes import codes_facts, render_codes
from tests.samples import HOSTILE, planted_codes


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return planted_codes(tmp_path_factory.mktemp("codes"))[0]


@pytest.fixture(scope="module")
def path(planted, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "codes.html"
    path.write_text(render_codes(codes_facts("<b>mine</b>", **planted)), encoding="utf-8")
    return path


@pytest.fixture
def page(browser, path):
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(path.as_uri())
    wait(browser, lambda: browser.execute_script("return document.body.dataset.ready") == "yes")
    return browser


def wait(browser, condition):
    WebDriverWait(browser, 20, poll_frequency=0.05).until(lambda _: condition())


def all_of(page, selector):
    return page.find_elements(By.CSS_SELECTOR, selector)


def title(page):
    return page.find_element(By.ID, "code-title").text


def lit(figure):
    """Cells that are framed: (frame, column, row)."""
    return [
        (k, int(cell.get_attribute("x")), int(cell.get_attribute("y")))
        for k, frame in enumerate(figure.find_elements(By.CLASS_NAME, "frame"))
        for cell in frame.find_elements(By.CSS_SELECTOR, "rect.on")
    ]


def test_a_click_on_a_code_shows_its_cells(page):
    assert title(page) == "Code 3"
    clips, sounds = all_of(page, "#sides > section")
    first, second = clips.find_elements(By.CLASS_NAME, "example")
    assert "item 4, 3 tokens" in first.text and "item 0, 2 tokens" in second.text
    # Token k is cell k % 16 of frame k // 16, row by row.
    assert lit(first) == [(0, 3, 1), (0, 0, 2), (0, 1, 2)]
    assert lit(second) == [(0, 1, 0), (1, 0, 1)]
    (heard, _) = sounds.find_elements(By.CLASS_NAME, "example")
    assert lit(heard) == [(0, 2, 0), (0, 3, 0)]
    assert len(heard.find_elements(By.TAG_NAME, "rect")) == 10
    all_of(page, "#list button")[1].click()
    assert title(page) == "Code 5"
    clips, sounds = all_of(page, "#sides > section")
    assert "never fires here" in clips.text
    assert lit(sounds.find_element(By.CLASS_NAME, "example")) == [(0, 5, 0)]


def test_concepts_with_their_numbers(page):
    rows = [
        [td.text for td in row.find_elements(By.TAG_NAME, "td")]
        for row in all_of(page, "#list tbody tr")
    ]
    assert rows == [["3", "colour: red", "0.90", "0.20"], ["5", "size: large", "0.30", "0.20"]]
    heads = [th.text for th in all_of(page, "#concepts th")]
    assert heads == ["concept", "F1, video", "F1, audio", "null", "always"]
    cells = [td.text for td in all_of(page, "#concepts tbody tr:first-child td")]
    assert cells == ["colour: red", "0.95", "0.90", "0.20", "0.30"]


def test_frames_and_spectrograms_are_drawn_and_the_sound_plays(page):
    code = "return [...document.images].map((one) => one.complete && one.naturalWidth)"
    assert page.execute_script(code) == [16, 16, 16, 16, 20, 20]
    page.execute_script(
        "window.played = []; const Real = Audio;"
        "window.Audio = function (uri) { const one = new Real(uri); played.push(one); return one; }"
    )
    all_of(page, "button.play")[0].click()
    wait(page, lambda: page.execute_script("return played[0].readyState") >= 2)
    assert page.execute_script("return played[0].duration") == pytest.approx(0.5)
    assert all_of(page, "button.play")[0].text == "▶ play"


def test_text_of_a_user_is_shown_and_never_run(page):
    assert HOSTILE in page.find_element(By.ID, "sides").text
    assert HOSTILE in page.find_element(By.ID, "concepts").text
    assert page.title == "<b>mine</b>: its codes"
    assert page.find_element(By.ID, "title").text == "Codes of <b>mine</b>"
    assert page.execute_script("return document.querySelectorAll('[onerror], h1 b').length") == 0
    assert page.execute_script("return document.scripts.length") == 2


def test_codes_are_reached_by_keyboard(page):
    page.execute_script("document.querySelector('#list button').focus()")
    page.switch_to.active_element.send_keys(Keys.TAB)
    page.switch_to.active_element.send_keys(Keys.ENTER)
    assert title(page) == "Code 5"
    current = all_of(page, "#list tr[aria-current] button")
    assert [one.text for one in current] == ["5"]


def test_it_fits_the_window_sends_nothing_and_the_console_is_clean(page, path):
    all_of(page, "#list button")[1].click()
    all_of(page, "button.play")[0].click()
    assert page.execute_script("return document.documentElement.scrollWidth") <= 1280
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith("data:")] == [path.as_uri()]
    assert [e for e in page.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
