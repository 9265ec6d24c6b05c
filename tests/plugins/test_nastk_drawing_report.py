"""Reports: one HTML file of a run, a training or a study, from files alone, whatever they hold."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from cli_kit import called
from hypothesis import given, settings
from hypothesis import strategies as st
from pages_kit import LIGHT, events, result, trained, write_full_run, write_study, write_training
from run_kit import CONFIG, event

import nastk
from nastk import ConfigurationError, NastkError
from nastk.base import MissingExtraError
from nastk.cli import run_record
from nastk_drawing import write_report
from nastk_drawing.report import headline, source, study, theme
from nastk_drawing.report.embedding import embedded

VOID = {"meta", "link", "br", "img", "path", "use"}


class Document(HTMLParser):
    """What a test asks of a page: headings, identifiers, links, texts, figures; tags that close."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.identifiers, self.links, self.words = [], [], [], []
        self.figures, self.tags, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append(tag)
        self.identifiers += [values["id"]] if "id" in values else []
        self.links += [values[key] for key in ("href", "src", "xlink:href") if values.get(key)]
        self.figures += [values["aria-label"]] if values.get("role") == "img" else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split()).replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """The report of a run with everything, two trainings included: (HTML, document)."""
    run = write_full_run(tmp_path_factory.mktemp("runs") / "a")
    write_training(run / "trained" / "train", unfinished=(2,))
    write_training(run / "trained" / "longer", seeds=(0,))
    text = write_report(run).read_text(encoding="utf-8")
    return text, Document(text)


def document(folder):
    return Document(source.html(source.page(folder)))


# ---------------------------------------------------------------- the page


def test_a_page_has_everything_in_it(full):
    text, page = full
    assert text.startswith("<!DOCTYPE html>")
    assert "script" not in page.tags and "img" not in page.tags
    identifiers = page.identifiers
    assert len(identifiers) == len(set(identifiers))
    local = [link[1:] for link in page.links if link.startswith("#")]
    assert set(local) <= set(identifiers)
    assert [link for link in page.links if not link.startswith("#")] == ["data:,"]
    assert not re.findall(r"(?:url\(|@import|srcset)(?!#)", text)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)


def test_headings_are_in_order_and_figures_have_words(full):
    _, page = full
    levels = [int(tag[1]) for tag in page.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert len(page.figures) >= 18 and all(words.endswith(".") for words in page.figures)


@pytest.mark.parametrize(
    "words",
    [
        "gm around darts",
        "nasbench201 on folder:leaves, seed 3",
        "reaches 71.00 ± 1.41 % on the test split (2 seeds)",
        "no better than the number of parameters (+0.70)",
        "95 % interval 33.5 to 46.9 %, 200 images",
        "guessing 10.00 % 10 classes",
        "undecided: The weights are <b>uniform</b>.",
        "0.0900 ± 0.0040 (chosen)",
        "The last generation",
        "two halves of the 1,000 images agree with tau +0.80",
        "train: weight steps of the search",
        "Trained networks: longer",
        "unfinished: seed-2 is not finished: 3 epochs in its log.",
        "nastk search --config",
        "a processor",
    ],
)
def test_a_report_says(words, full):
    assert words in full[1].text


def test_colours_are_those_of_the_page_in_light_and_dark(full):
    text, _ = full
    body = text.split("</style>")[1]
    assert not re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", body)
    used = set(re.findall(r"var\(--([\w-]+)\)", body)) - {"font"}
    assert used <= set(theme.variables())
    for scheme in (0, 1):
        pairs = {name: colours[scheme] for name, colours in theme.variables().items()}
        for ink in ("ink", "soft"):
            for ground in ("paper", "panel"):
                assert contrast(pairs[ink], pairs[ground]) >= 4.5, (ink, ground, scheme)
        assert all(
            contrast(pairs["ink"], colour) >= 4.5
            for name, colour in pairs.items()
            if name.endswith("-tint") or name.startswith("node-in")
        )


def contrast(first, second):
    """The contrast of two colours, by WCAG 2."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def test_an_embedded_picture_has_identifiers_of_its_own():
    svg = '<?xml?><svg><g id="a" style="font: 9px \'DejaVu Sans\'" clip-path="url(#b)"/></svg>'
    found = embedded(svg, "f7-")
    assert 'id="f7-a"' in found and "url(#f7-b)" in found and "font: 9px var(--font)" in found


# ---------------------------------------------------------------- unfinished, damaged, hostile


def test_an_unfinished_run_has_a_report_of_what_there_is(tmp_path):
    run = write_full_run(tmp_path / "a", events()[:6], False)
    page = document(run)
    assert "interrupted after 1 of 2 epochs" in page.text and "nastk resume" in page.text
    assert "what was chosen" not in page.text
    bare = write_full_run(tmp_path / "b", [event("run-started", "0", 0)], False)
    assert document(bare).headings.count("h2") == 3
    (bare / "error.txt").write_text("The loss is not finite.")
    (bare / "environment.json").unlink()
    page = document(bare)
    assert "failed after 0 of 2 epochs: The loss is not finite." in page.text
    assert "an earlier version of nastk" in page.text


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
    "word", ["<script>alert(1)</script>", "a\x1b[31mb", "</style>", "\ud800", "$x$", "'\"&<"]
)
def test_names_from_files_are_only_texts(word, tmp_path):
    config = {**CONFIG, "updater": {"name": word, "options": {word: word}}}
    judged = {"evaluator": word, "metrics": {f"{word}accuracy": 0.5}, "notes": [word]}
    run = write_full_run(
        tmp_path / "a", [*events()[:4], trained("0", 1), event("updater-reported", "0", 1,
        topic="t", values={"individuals": [{"number": 1, "fitness": 0.5, "architecture": word}]})],
        result(text=word, evaluations=[judged]), config,
    )  # fmt: skip
    page = document(run)
    assert "script" not in page.tags and page.tags.count("style") == 1
    assert "\x1b" not in page.text
    if word.isprintable() and " " not in word:
        assert page.text.count(word) > 4


def test_values_of_unexpected_types_are_one_message(tmp_path):
    run = write_full_run(tmp_path / "a", [event("updater-reported", "0", 1, topic="t",
                         values={"individuals": [3]})])  # fmt: skip
    with pytest.raises(NastkError, match="hold something that cannot be shown"):
        write_report(run)
    assert not (run / "report.html").exists()


@pytest.mark.slow
def test_no_torch_is_imported(tmp_path):
    run = write_full_run(tmp_path / "a")
    write_training(run / "trained" / "train")
    code = (
        "import sys; from nastk_drawing import write_report; write_report(sys.argv[1]); "
        "assert not {'torch', 'torchvision', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=True)


# ---------------------------------------------------------------- the headline


def test_the_interval_of_an_accuracy_is_that_of_wilson():
    assert headline.interval(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert headline.interval(1.0, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)


@settings(max_examples=25)
@given(st.floats(0, 1), st.integers(1, 10_000))
def test_an_interval_holds_its_accuracy(accuracy, images):
    low, high = headline.interval(accuracy, images)
    assert -1e-9 <= low <= accuracy + 1 / images and accuracy - 1 / images <= high <= 1 + 1e-9


def test_accuracies_of_a_table_have_no_interval_of_the_runs_images(tmp_path):
    record = run_record(write_full_run(tmp_path / "a"))
    assert headline.interval_words(record, "table_test_accuracy", 0.9) == ""
    assert headline.interval_words(record, "test_accuracy", 0.4).endswith("200 images")


@pytest.mark.parametrize(
    ("tau", "count", "words"),
    [
        (0.6, 0.3, "better than the number of parameters (+0.30)."),
        (0.6, 0.55, "(+0.55), but its interval reaches down to that."),
        (0.5, 0.55, "no better than the number of parameters (+0.55)."),
    ],
)
def test_a_ranking_is_compared_with_the_best_count(tau, count, words):
    found = [
        headline.Tau(name, 1, value, value - 0.1, value + 0.1)
        for name, value in (("scores", tau), ("parameters", count), ("convolutions", count - 0.1))
    ]
    assert headline._ranking(found).endswith(words)


# ---------------------------------------------------------------- trainings and studies


def test_a_training_of_its_own_has_a_report(tmp_path):
    page = document(write_training(tmp_path / "leaves", unfinished=(10,)))
    assert "unfinished: 2 of 3 seeds" in page.text and "nasbench201 on folder:leaves" in page.text
    assert "Guessing gives 50.00 %" in page.text and "mean ± std 71.00 ± 1.41 %" in page.text
    assert "nor_conv_3x3" in page.figures[0]
    page = document(write_training(tmp_path / "begun", seeds=(), unfinished=(0,)))
    assert "no network is finished yet" in page.text and len(page.figures) == 4


def test_a_model_of_a_space_that_is_not_installed_is_shown_without_its_cell(tmp_path):
    folder = write_training(tmp_path / "a", seeds=(0,))
    file = folder / "seed-0" / "model.json"
    model = json.loads(file.read_text())
    file.write_text(json.dumps({**model, "space": {"name": "nowhere", "options": {}}}))
    page = document(folder)
    assert "The space nowhere is not installed here" in page.text
    assert "|nor_conv_3x3~0|" in page.text


def test_a_study_has_the_means_of_its_runs_and_why_others_have_none(tmp_path):
    page = document(write_study(tmp_path / "study"))
    text = page.text
    assert "gm differs from random by +20.00 points" in text and "shows nothing" in text
    assert "Difference to random" in text and "2:0" in text
    assert "gm-seed2 failed 1 of 2 The loss is not finite." in text
    assert "random-seed2 interrupted 1 of 2" in text
    assert "kendall by scores" in text and "scores low" not in text
    assert len(page.figures) == 4
    assert "nastk compare --config" in text and "--updater gm,inner=darts" not in text


def test_a_study_says_how_it_was_registered(tmp_path):
    for seeds in ([0], [0, 1]):
        nastk.compare("toy", ["random"], "toy", seeds=seeds, trainer={"epochs": 1}, out=tmp_path)
    text = document(tmp_path).text
    assert "Registered on " in text and "Added later: seed 1 of random (" in text


def test_a_study_that_cannot_be_tested_has_its_means_and_says_why(tmp_path, monkeypatch):
    def missing(groups):
        raise MissingExtraError("It needs scipy: pip install 'nastk[studies]'.")

    monkeypatch.setattr(study, "comparison", missing)
    text = document(write_study(tmp_path / "study")).text
    assert "gm has the highest table test accuracy: 61.00 ± 1.41 %; next is random with 41" in text
    assert "With 2 seeds a deviation of so few is a guess" in text
    assert "Differences are not tested" in text and "nastk[studies]" in text


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("test_accuracy", [0.5], "50.00 %"),
        ("test_accuracy", [0.5, 0.52], "51.00 ± 1.41 %"),
        ("rank", [12_904.0, 8_000.5], "10,452 ± 3,467"),
        ("parameters", [587_386, 1_610_000], "1.10 ± 0.72 M"),
        ("kendall_by_scores", [0.3, 0.3], "0.3000"),
    ],
)
def test_means_and_deviations_have_one_unit_and_as_many_digits(name, values, words):
    assert study.spread_words(name, values) == words


# ---------------------------------------------------------------- the command


def test_the_command_writes_the_report_and_says_where(tmp_path):
    run = write_full_run(tmp_path / "a", LIGHT)
    code, out, said = called("report", run)
    assert (code, out) == (0, "") and f"written to {run / 'report.html'}" in said
    code, _, said = called("report", run, "-o", tmp_path / "b.html")
    assert code == 0 and (tmp_path / "b.html").read_bytes() == (run / "report.html").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere holds no run, no training and no study"),
        (["."], "holds no run, no training and no study"),
        (["run", "-o", "a.pdf"], "A report is an HTML file, got the file name 'a.pdf'"),
        (["run", "-o", "folder.html"], "folder.html is a folder"),
    ],
)
def test_a_wrong_request_is_said(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_full_run(tmp_path / "deep" / "run").rename(tmp_path / "deep" / "moved")
    if words[0] == "run":
        write_full_run(tmp_path / "run")
    (tmp_path / "folder.html").mkdir()
    code, _, said = called("report", *words)
    assert code == 2 and message in said


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("flag", ["--lineage", "--curves", "--scores"])
def test_charts_are_drawn_into_files(flag, tmp_path):
    run = write_full_run(tmp_path / "a")
    code, _, said = called("draw", run, flag, "-o", tmp_path / "a.svg")
    assert code == 0 and "drawn to" in said and (tmp_path / "a.svg").stat().st_size > 1_000
    code, out, said = called("draw", run, flag)
    if flag == "--curves":
        assert code == 0 and "loss" in out
    else:
        assert code == 2 and f"nastk draw {run} {flag} -o {flag[2:]}.svg" in said


def test_one_picture_shows_one_thing(tmp_path):
    code, _, said = called("draw", write_full_run(tmp_path / "a"), "--curves", "--scores")
    assert code == 2 and "got --curves, --scores. Choose one" in said
    begun = write_full_run(tmp_path / "b", [], False)
    code, _, said = called("draw", begun, "--curves")
    assert code == 2 and "has finished no epoch yet" in said


def test_a_folder_that_may_not_be_written_is_said(tmp_path):
    run = write_full_run(tmp_path / "a")
    with pytest.raises(ConfigurationError, match="no ordinary file"):
        write_report(run, _device(tmp_path))


def _device(place):
    link = place / "null.html"
    link.symlink_to("/dev/null")
    return link
