"""The explorer in a real browser: what a reader does, against numpy."""

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("selenium", reason="selenium is not installed")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

import mindgap
from mindgap.downstream.methods import find_method
from mindgap.downstream.rows import UnitRows
from mindgap.downstream.trial import split
from mindgap.explorer.build import page_facts
from mindgap.explorer.media import sound_uri
from mindgap.explorer.page import Loss, render
from mindgap.explorer.states import Plane
from mindgap.gap.cosines import unit_rows

N = 40
WIDE = np.array([-3.0, -1.2, 0.0, 0.3, 2.5])
GRID = np.round(np.arange(-1, 1.55, 0.1), 10)
HOSTILE = (
    "</script><script>document.title='run'</script><img src=x onerror=\"document.title='run'\">&lt;"
)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(1)
    shared, offset = rng.standard_normal((N, 8)), rng.standard_normal(8)
    return {
        name: unit_rows(shared + 0.8 * rng.standard_normal((N, 8)) + far * offset)
        for name, far in (("image", 1.2), ("text", -1), ("<i>audio</i>", 0))
    }


@pytest.fixture(scope="module")
def pages(sets, tmp_path_factory, published):
    """Name -> page."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "pictures").mkdir()
    for k in range(N - 1):  # the last row has no picture
        Image.new("RGB", (30, 20), (6 * k, 90, 255 - 6 * k)).save(folder / f"pictures/{k}.png")
    captions = [f"caption {k}" for k in range(N)]
    captions[3] = HOSTILE
    mindgap.explore(
        sets,
        labels=np.arange(N) % 2,
        captions=captions,
        thumbnails=folder / "pictures",
        batch=20,
        path=folder / "own.html",
    )
    both = {name: sets[name] for name in ("image", "text")}
    found = mindgap.landscape(both, shifts=WIDE, inverse_temperatures=[90, 21, 2], batch=10)
    wide = Loss("wide", N, 10, WIDE, found.inverse_temperatures, found.distance, found.loss)
    found = mindgap.landscape(both, shifts=GRID, inverse_temperatures=[20], batch=20)
    own = Loss("own", N, 20, GRID, found.inverse_temperatures, found.distance, found.loss)
    facts = page_facts(
        both,
        lambda a, b: [own, wide],
        shown=np.arange(N),
        total=N,
        shifts=GRID,
        seed=0,
        name="<b>mine</b>",
        sounds=[sound_uri(np.sin(np.arange(2000) / 3), 8000), *[None] * (N - 1)],
    )
    (folder / "grids.html").write_text(render(facts), encoding="utf-8")
    clip = np.load(published("features_clip.npy"))
    mindgap.explore(*clip, batch=50, shifts=np.arange(-5, 5, 0.25), path=folder / "clip.html")
    return {name: folder / f"{name}.html" for name in ("own", "clip", "grids")}


class Page:
    """The open page, its models and its controls."""

    def __init__(self, browser, path):
        self.browser = browser
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        browser.get(path.as_uri())
        self.wait(lambda: self.js("return document.body.dataset.ready") == "yes")

    def js(self, code, *words):
        return self.browser.execute_script(code, *words)

    def wait(self, condition):
        WebDriverWait(self.browser, 20, poll_frequency=0.05).until(lambda _: condition())

    def find(self, name):
        return self.browser.find_element(By.CSS_SELECTOR, name)

    def data(self, source, column):
        code = "return Array.from(Bokeh.documents[0].get_model_by_name(arguments[0]).data[arguments[1]])"
        return np.array(self.js(code, source, column), float)

    def points(self, side):
        return np.stack([self.data(side, column) for column in "xy"])

    def range(self, name):
        code = (
            "const r = Bokeh.documents[0].get_model_by_name(arguments[0]); return [r.start, r.end]"
        )
        return np.array(self.js(code, name))

    def slide(self, value):
        """Move the slider as a mouse does."""
        self.js(
            "const s = document.getElementById('shift'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            value,
        )
        self.wait(lambda: self.find("#shift-value").text == f"{value:.2f}")

    def choose(self, name, text):
        Select(self.find(f"#{name}")).select_by_visible_text(text)

    def number(self, key, column=-1):
        cells = self.browser.find_elements(By.CSS_SELECTOR, f"tr[data-key={key}] td")
        return float(cells[column].text)

    def chips(self, line, column):
        """Row numbers of a list of nearest rows: column 0 as it is, 1 now."""
        code = (
            "return [...document.querySelectorAll('#neighbours tbody tr')[arguments[0]]"
            ".querySelectorAll('td')[arguments[1]].querySelectorAll('button')].map(b => b.title)"
        )
        return [int(title.split()[1].rstrip(":")) for title in self.js(code, line, column)]

    def pixel(self, plot, x, y):
        """Where a point of a plot lies in the window, as the library draws it."""
        code = """
            const view = [...Bokeh.index].find((one) => one.model.name === arguments[0]);
            const box = document.getElementById(`plot-${arguments[0]}`).getBoundingClientRect();
            return [box.left + view.frame.x_scale.compute(arguments[1]),
                    box.top + view.frame.y_scale.compute(arguments[2])]"""
        return [round(value) for value in self.js(code, plot, float(x), float(y))]

    def point_at(self, plot, x, y, click=False):
        actions = ActionBuilder(self.browser)
        left, top = self.pixel(plot, x, y)
        actions.pointer_action.move_to_location(left - 1, top).move_to_location(left, top)
        if click:
            actions.pointer_action.click()
        actions.perform()

    def click_at(self, plot, x, y, done):
        """Click until it has its effect: on a busy machine a slow click passes for a long press."""
        wait = WebDriverWait(self.browser, 20, poll_frequency=0.6)
        wait.until(lambda _: done() or self.point_at(plot, x, y, click=True))


@pytest.fixture(scope="module")
def opened(browser, pages):
    return Page(browser, pages["own"])


@pytest.fixture
def page(opened):
    """The page as it was opened, whatever a test before has done."""
    opened.js("scrollTo(0, 0); document.getElementById('reset').click()")
    for name in ("pair", "method", "scale"):
        code = (
            "const s = document.getElementById(arguments[0]); s.selectedIndex = 0;"
            "s.dispatchEvent(new Event('change'))"
        )
        opened.js(code, name)
    opened.js(
        "const f = document.getElementById('row'); f.value = 0; f.dispatchEvent(new Event('input'))"
    )
    return opened


@pytest.fixture(scope="module")
def rows(sets):
    return sets["image"], sets["text"]


def moved(rows, shift):
    x, y = rows
    u = Plane.of(x, y).u
    return unit_rows(x - shift / 2 * u), unit_rows(y + shift / 2 * u)


def near(rows, query, gallery, k):
    cosines = rows[query][k] @ rows[gallery].T
    if query == gallery:
        cosines[k] = -2
    return list(np.argsort(-cosines)[:5])


@pytest.mark.parametrize("shift", [-1.0, -0.33, 0.0, 0.58, 1.5])
def test_the_slider_moves_points_to_where_numpy_puts_them(page, rows, shift):
    page.slide(shift)
    plane = Plane.of(*rows)
    spans = [np.diff(page.range(f"map-{axis}"))[0] for axis in "xy"]
    for side, new in zip("ab", moved(rows, shift), strict=True):
        off = np.abs(page.points(side) - plane.points(new)) / np.array(spans)[:, None]
        assert off.max() <= 1e-6
    ends = np.stack([page.data("lines", name) for name in ("x0", "y0", "x1", "y1")])
    np.testing.assert_array_equal(ends, np.concatenate([page.points("a"), page.points("b")]))


@pytest.mark.parametrize("shift", [-0.72, 0.44, 1.5])
def test_numbers_and_lists_follow_at_the_nearest_point_of_the_grid(page, rows, shift):
    page.slide(shift)
    nearest = GRID[np.abs(GRID - shift).argmin()]
    assert f"at shift {nearest:.2f}" in page.find("#numbers-title").text
    assert "nearest point of the grid" in page.find("#grid-note").text
    for column, at in ((0, 0.0), (1, nearest)):
        x, y = now = moved(rows, at)
        far = mindgap.landscape(*rows, shifts=[at], batch=20)
        assert page.number("gap", column) == pytest.approx(far.distance[0], abs=6e-4)
        assert page.number("loss", column) == pytest.approx(far.loss[0, 0], abs=6e-4)
        assert page.number("cosine", column) == pytest.approx((x * y).sum(axis=1).mean(), abs=6e-4)
        hits = (x @ y.T).argmax(axis=1) == np.arange(N)
        assert page.number("recall_ab", column) == pytest.approx(hits.mean(), abs=6e-4)
        for line, (query, gallery) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
            assert page.chips(line, column) == near(now, query, gallery, 0)
    assert page.number("gap", 0) != page.number("gap", 1)


def test_the_marks_in_the_loss_follow(page, rows):
    page.slide(0.7)
    page.choose("scale", "1/20")
    found = mindgap.landscape(*rows, shifts=GRID, inverse_temperatures=[20], batch=20)
    k = int(np.abs(GRID - 0.7).argmin())
    mark = [page.data("loss-now", column)[0] for column in "xy"]
    assert mark == pytest.approx([found.distance[k], found.loss[k, 0]], rel=1e-5)
    drawn = page.data("losses", "y")
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], found.loss[:, 0], rtol=1e-5)
    cell = [page.data("cell-now", side)[0] for side in ("left", "right", "bottom", "top")]
    assert cell == pytest.approx([0.65, 0.75, 2.5, 3.5])


def test_a_click_on_the_heat_map_sets_shift_and_temperature(page):
    page.click_at("heat", 0.52, 5.1, lambda: page.find("#shift-value").text == "0.50")
    assert Select(page.find("#scale")).first_selected_option.text == "1/1"
    assert page.number("loss") > 0


def test_a_click_on_the_curve_sets_the_shift(page, rows):
    found = mindgap.landscape(*rows, shifts=GRID, inverse_temperatures=[100], batch=20)
    place, wanted = (found.distance[4], found.loss[4, 0]), f"{GRID[4]:.2f}"
    page.click_at("curve", *place, lambda: page.find("#shift-value").text == wanted)


@pytest.mark.parametrize(("side", "shift"), [(0, 0.0), (1, 0.9)])
def test_the_pointer_shows_the_pair_under_it(page, rows, side, shift):
    page.slide(shift)
    points = Plane.of(*rows).points(np.concatenate(moved(rows, shift)))
    spans = np.array([np.diff(page.range(f"map-{axis}"))[0] for axis in "xy"])
    apart = np.linalg.norm((points[:, :, None] - points[:, None]) / spans[:, None, None], axis=0)
    np.fill_diagonal(apart, 9)
    lonely = apart.min(axis=1)[side * N : (side + 1) * N - 1].argmax()
    page.point_at("map", *points[:, side * N + lonely])
    page.wait(lambda: page.find("#tip").is_displayed())
    tip = page.find("#tip")
    assert tip.text.startswith(f"pair {lonely}\n")
    wanted = HOSTILE if lonely == 3 else f"caption {lonely}"
    assert wanted in tip.text
    picture = tip.find_element(By.TAG_NAME, "img").get_attribute("src")
    facts = "return JSON.parse(document.getElementById('facts').textContent).thumbnails"
    assert picture == page.js(facts)[lonely]
    cosines = np.multiply.outer(1, moved(rows, shift)[0] @ moved(rows, shift)[1].T)
    ranks = [
        int((each[lonely] >= each[lonely, lonely] - 1e-10).sum()) for each in (cosines, cosines.T)
    ]
    assert tip.text.endswith(f"rank of the partner: {ranks[0]} and {ranks[1]}")
    picked = [page.data("picked", column) for column in "xy"]
    np.testing.assert_allclose(np.array(picked), points[:, [lonely, N + lonely]], atol=1e-9)
    title = f"Pair {lonely}"
    page.click_at(
        "map", *points[:, side * N + lonely], lambda: page.find("#pair-title").text == title
    )
    assert page.find("#row").get_attribute("value") == str(lonely)
    assert wanted in page.find("#pair-card").text


def test_a_method_is_shown_on_held_out_pairs(page, rows):
    x, y = rows
    fit_on, held = split(N, 0.5, 0)
    maps = find_method("centring", 8)(*(UnitRows(z[fit_on], unit=True) for z in rows))
    held = np.sort(held)
    moved_rows = [unit_rows(to(z[held])) for to, z in zip(maps, rows, strict=True)]
    page.choose("method", "method: centring")
    page.wait(lambda: len(page.data("a", "x")) == len(held))
    plane = Plane.of(x, y)
    for side, new in zip("ab", moved_rows, strict=True):
        np.testing.assert_allclose(page.points(side), plane.points(new), atol=1e-6)
    assert f"{len(held)} held-out pairs" in page.find("#numbers-title").text
    gap = np.linalg.norm(np.subtract(*(z.mean(axis=0) for z in moved_rows)))
    assert page.number("gap") == pytest.approx(gap, abs=6e-4)
    fixes = mindgap.compare_fixes(x, y, np.arange(N) % 2)
    for column, name in ((0, "none"), (1, "centring")):
        for key, use in (("ndcg", "mixed corpus"), ("accuracy", "zero-shot")):
            expected = fixes.find(name, use)["estimate"]
            assert page.number(key, column) == pytest.approx(expected, abs=6e-4)
    item = int(page.find("#row").get_attribute("value"))
    place = int(np.flatnonzero(held == item)[0])
    assert page.chips(1, 1) == [int(held[k]) for k in near(moved_rows, 0, 1, place)]
    page.slide(0.3)
    assert len(page.data("a", "x")) == N


def test_more_than_two_modalities_are_a_choice(page, sets):
    options = [option.text for option in Select(page.find("#pair")).options]
    assert options == ["image and text", "image and <i>audio</i>", "text and <i>audio</i>"]
    page.choose("pair", options[2])
    assert page.find("#title").text == options[2]
    plane = Plane.of(sets["text"], sets["<i>audio</i>"])
    np.testing.assert_allclose(page.points("a"), plane.points(sets["text"]), atol=1e-9)


def test_text_of_a_user_is_shown_and_never_run(page):
    field = page.find("#row")
    field.clear()
    field.send_keys("3")
    page.wait(lambda: page.find("#pair-title").text == "Pair 3")
    assert HOSTILE in page.find("#pair-card").text
    assert page.browser.title == "image and text: the modality gap"
    assert (
        page.js("return document.querySelectorAll('[onerror], i i, body i:not([class]) b').length")
        == 0
    )
    assert page.js("return document.scripts.length") == 4


def test_a_row_that_is_not_there_is_said(page):
    field = page.find("#row")
    field.clear()
    field.send_keys("99")
    assert "Row 99 is not on this page" in field.get_property("validationMessage")
    assert page.find("#pair-title").text == "Pair 9"


def test_everything_is_reached_and_used_by_keyboard(page):
    page.js("document.getElementById('pair').focus()")
    reached = []
    for _ in range(5):
        ActionChains(page.browser).send_keys(Keys.TAB).perform()
        reached.append(page.js("return document.activeElement.id"))
    assert reached == ["method", "shift", "reset", "scale", "row"]
    slider = page.find("#shift")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.wait(lambda: page.find("#shift-value").text == "0.02")
    slider.send_keys(Keys.END)
    page.wait(lambda: page.find("#shift-value").text == "1.50")
    page.find("#reset").send_keys(Keys.ENTER)
    page.wait(lambda: page.find("#shift-value").text == "0.00")
    page.find("#row").send_keys(Keys.ARROW_UP)
    page.wait(lambda: page.find("#pair-title").text == "Pair 1")


def test_it_fits_the_window(page):
    assert page.js("return document.documentElement.scrollWidth") <= 1280
    assert page.js("return document.documentElement.scrollHeight") <= 800
    for name in ("map", "curve", "heat"):
        box = page.js(f"return document.querySelector('#plot-{name} > *').getBoundingClientRect()")
        assert box["width"] > 300 and box["height"] > 150


def test_no_request_leaves_the_page_and_the_console_is_clean(browser, pages, page):
    """After all of the above, and on a page of its own."""
    fresh = Page(browser, pages["own"])
    fresh.slide(0.5)
    fresh.choose("method", "method: whitening")
    fresh.point_at("heat", 0.1, 2, click=True)
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    assert pages["own"].as_uri() in asked
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert [url for url in asked if url.startswith("file")] == [pages["own"].as_uri()]
    loud = [
        entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")
    ]
    assert loud == []


def test_the_real_clip(browser, pages):
    """Lowest at the untouched gap at 1/100, where the modalities meet at 1/1."""
    page = Page(browser, pages["clip"])
    assert page.number("gap", 0) == 0.851
    assert page.find("#loss-note").text.startswith("▼ 0.566 at 0.851")
    assert page.data("lowest", "x")[0] == page.data("loss-now", "x")[0]
    page.choose("scale", "1/1")
    page.wait(lambda: " at 0.115" in page.find("#loss-note").text)
    page.slide(0.75)
    assert page.number("gap") == 0.115
    assert page.data("lowest", "x")[0] == page.data("loss-now", "x")[0]


def test_a_pair_with_a_sound_plays_it(browser, pages):
    page = Page(browser, pages["grids"])
    page.js(
        "window.played = []; const Real = Audio;"
        "window.Audio = function (uri) { const one = new Real(uri); played.push(one); return one; }"
    )
    page.find("#pair-card .play").click()
    page.wait(lambda: page.js("return played[0].readyState") >= 2)
    assert page.js("return played[0].duration") == pytest.approx(0.25)
    page.find("#row").send_keys(Keys.ARROW_UP)
    page.wait(lambda: page.find("#pair-title").text == "Pair 1")
    assert not browser.find_elements(By.CSS_SELECTOR, "#pair-card .play"), "it has no sound"


def test_the_grid_of_the_loss_is_a_choice(browser, pages, rows):
    """The slider keeps its own grid; marks and numbers of the loss follow the chosen one."""
    page = Page(browser, pages["grids"])
    assert page.find("#note").text.startswith("<b>mine</b>. 40 pairs. ")
    assert browser.title.startswith("<b>mine</b>")
    page.slide(0.5)
    page.choose("grid", "wide")
    assert Select(page.find("#scale")).first_selected_option.text == "1/21"
    found = mindgap.landscape(*rows, shifts=WIDE, inverse_temperatures=[21], batch=10)
    drawn = page.data("losses", "y")
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], found.loss[:, 0], rtol=1e-5)
    assert page.data("loss-now", "y")[0] == pytest.approx(found.loss[3, 0], rel=1e-5)
    assert page.number("loss") == pytest.approx(found.loss[3, 0], abs=6e-4)
    assert page.number("loss", 0) == pytest.approx(found.loss[2, 0], abs=6e-4)
    assert "batches of 10" in page.find("#note").text
    # Beyond the slider: it stops at its end.
    page.click_at("heat", 2.5, 0, lambda: page.find("#shift-value").text == "1.50")
