"""Reports in Chromium: no error, every figure drawn, nothing wider than the screen."""

import shutil

import pytest
from pages_kit import write_full_run, write_problems, write_study, write_training

from nastk_drawing import write_report

CHROMIUM = shutil.which("chromium")
PLACES = """() => [...document.querySelectorAll('.picture svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  return [box.width, box.height, svg.querySelectorAll('path').length];
})"""
WIDER = """() => [...document.querySelectorAll('body *')].filter(
  one => !one.closest('.scroll, .picture, pre, nav')
    && one.getBoundingClientRect().right > innerWidth + 0.5).map(one => one.outerHTML)"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    place = tmp_path_factory.mktemp("reports")
    write_full_run(place / "run")
    write_training(place / "training")
    write_study(place / "study")
    write_problems(place / "problems")
    return lambda name: write_report(place / name)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["run", "training", "study", "problems"])
def test_a_report_is_whole_on_a_phone_and_on_a_desk_in_light_and_dark(name, browser, reports):
    page, path = browser.new_page(), reports(name)
    errors = []
    page.on("console", lambda message: errors.append(message.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.append(request.url))
    page.goto(path.as_uri())
    grounds = set()
    for width, scheme in ((400, "light"), (1400, "dark"), (400, "dark"), (1400, "light")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(WIDER) == []
        figures = page.evaluate(PLACES)
        assert len(figures) >= 3
        assert all(across > 100 and high > 40 and paths for across, high, paths in figures)
        grounds.add((scheme, page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert grounds == {("light", "rgb(255, 255, 255)"), ("dark", "rgb(18, 24, 31)")}
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert errors == [path.as_uri()]
    page.close()


@pytest.mark.slow
def test_a_report_is_printed_on_paper(browser, reports):
    page = browser.new_page()
    page.goto(reports("run").as_uri())
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
