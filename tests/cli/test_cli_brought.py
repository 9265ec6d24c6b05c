"""`evaluate`, `draw` and `show` of an architecture that no run found, and of one that a run did."""

import json
import re
import shutil
from pathlib import Path

import pytest
from cli_kit import called

import nastk as package
from nastk.runs.folder import means_a_run

CELL = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], normal_concat=[2], "
    "reduce=[('max_pool_3x3', 0), ('skip_connect', 1)], reduce_concat=[2])"
)
STRING = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|none~2|"
TOY = "conv,skip,pool,conv,skip"


@pytest.fixture
def nastk(monkeypatch, tmp_path):
    """Runs the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return called


def searched(space="toy"):
    trainer = {"epochs": 1, "batch_size": 16}
    return package.search(space, "random", "toy", out="a", trainer=trainer, evaluators=["size"])


SMALL = ["-s", "network_cells=3"]
WORDS = {
    "a published name": ("DARTS_V2", SMALL, "darts", None),
    "a text": (CELL, SMALL, "darts", None),
    "a text of another space": (STRING, [], "nasbench201", None),
    "a text for a space that is named": (TOY, ["--space", "toy"], "toy", None),
    "a name that needs options": ("PROXYLESS_GPU", ["-d", "classes=1000"], "mobilenet", 7_119_848),
    "a name with options of its space": (
        "DARTS_V2",
        ["--space", "darts", *SMALL, "-s", "network_channels=4"],
        "darts",
        None,
    ),
}


@pytest.mark.parametrize("form", WORDS)
def test_an_architecture_from_elsewhere_is_counted_and_shown(form, nastk):
    word, flags, space, parameters = WORDS[form]
    code, out, err = nastk("evaluate", word, "-e", "size", *flags, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["evaluator"] == "size"
    assert parameters in (None, found["metrics"]["parameters"])
    flags = [flag for flag in flags if flag not in ("-d", "classes=1000")]
    code, out, err = nastk("show", word, *flags, "--json")
    assert code == 0, err
    shown = json.loads(out)
    assert shown["space"]["name"] == shown["architecture"]["space"] == space
    code, out, _ = nastk("show", word, *flags)
    assert code == 0 and shown["architecture"]["id"] in out
    code, out, _ = nastk("draw", word, *flags)
    assert code == 0 and out


def test_it_may_stand_in_a_file(nastk, tmp_path):
    (tmp_path / "cell.txt").write_text(f"INFO genotype = {CELL}\n")
    space = package.catalogue().load("space", "darts")
    made = space(space.Options(nodes=1))
    own = made.from_text(CELL).to_json()
    (tmp_path / "cell.json").write_text(json.dumps(own))
    for file, flags in (("cell.txt", []), ("cell.json", ["--space", "darts", "-s", "nodes=1"])):
        code, _, err = nastk("draw", file, "-o", "cell.svg")
        assert code == 0 and "cell.svg" in err
        assert file in (tmp_path / "cell.svg").read_text()
        code, out, _ = nastk("show", file, *flags, "--json")
        assert code == 0 and json.loads(out)["architecture"]["id"] == own["id"]


def test_the_json_of_a_run_is_read_with_the_options_of_the_run(nastk):
    result = searched(package.use("toy", channels=5))
    flags = ["-d", "classes=3", "-d", "size=8", "--json"]
    code, out, err = nastk("evaluate", "a/architecture.json", "-e", "size", *flags)
    assert code == 0, err
    assert json.loads(out)["metrics"]["parameters"] == result.evaluation["parameters"]


def test_it_is_trained_on_images_that_are_named(nastk):
    code, out, err = nastk(
        "evaluate", TOY, "--space", "toy", "--data", "toy", "--json",
        "-e", "retrain,epochs=2,batch_size=16", "-e", "size",
    )  # fmt: skip
    assert code == 0, err
    retrained, counted = json.loads(out)
    assert retrained["metrics"]["epochs"] == 2 and "test_accuracy" in retrained["metrics"]
    assert counted["metrics"]["parameters"] == retrained["metrics"]["parameters"]


def test_several_spaces_may_read_it_and_the_widest_is_taken(nastk):
    cell = [("sep_conv_3x3", 0), ("skip_connect", 1)] * 4
    concat = "range(2, 6)"
    text = f"Genotype(normal={cell}, normal_concat={concat}, reduce={cell}, reduce_concat={concat})"
    _, out, err = nastk("show", text, "--json")
    assert json.loads(out)["space"]["name"] == "darts"
    assert "space darts; s2, s3 read it too (choose with --space)" in err
    _, out, err = nastk("show", text, "--space", "s2", "--json")
    assert (json.loads(out)["space"]["name"], err) == ("s2", "")


MOBILE = ["--space", "mobilenet"]
TRAINED = ["-e", "retrain,epochs=1,batch_size=16"]
BAD = {
    "a run that is not there": (["show", "runs/nope"], "runs/nope is no run folder"),
    "nothing that there is": (["draw", "nope"], "nope is no run folder.*No installed space reads"),
    "a name with a slip": (["draw", "DARTS_V3"], "Did you mean 'DARTS_V2'"),
    "a text that nobody reads": (["show", "Genotype(normal=1)"], "no text that an installed space"),
    "a text that its space does not read": (
        ["show", "Genotype(normal=1)", "--space", "darts"],
        "normal_concat must be the nodes",
    ),
    "a name under other options": (
        ["evaluate", "PROXYLESS_GPU", "-e", "size", "-s", "layout=proxyless", *MOBILE],
        "is a network of `-s layout=proxyless-gpu",
    ),
    "no such space": (["show", TOY, "--space", "toi"], "Did you mean 'toy'"),
    "a supernet": (
        ["evaluate", TOY, "--space", "toy", "-e", "supernet"],
        "needs a trained supernet",
    ),
    "no images": (["evaluate", TOY, "--space", "toy", "-e", "retrain"], "needs images. Name them"),
    "sizes that are none": (
        ["evaluate", "DARTS_V2", "-e", "size", "-d", "limit=3"],
        "classes, channels and size",
    ),
    "a size that is none": (
        ["evaluate", "DARTS_V2", "-e", "size", "-d", "size=24x"],
        "each a whole number from 1 .size also as HEIGHTxWIDTH, such as 24x32.; got size='24x'",
    ),
    "weights of other classes": (
        ["evaluate", TOY, "--space", "toy", "--data", "toy", "-d", "class_weights=[1,2]", *TRAINED],
        "2 numbers for 3 classes",
    ),
    "channels that are none": (
        ["evaluate", "DARTS_V2", "-e", "size", "-d", "channels=1x2"],
        "got channels='1x2'",
    ),
    "an evaluator twice": (
        ["evaluate", "DARTS_V2", "-e", "size", "-e", "size"],
        "'size' is named twice",
    ),
    "options of nobody": (
        ["evaluate", "DARTS_V2", "-e", "size", "-e", "retrain", "-o", "epochs=2"],
        "Write it behind its evaluator: -e size,epochs=2",
    ),
    "a folder that is no run": (["evaluate", ".", "-e", "size"], "is no run folder"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_or_judged_is_one_message(what, nastk):
    words, message = BAD[what]
    code, out, err = nastk(*words)
    said = " ".join(err.split())
    assert (code, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1
    assert re.search(message, said), said


def test_a_network_is_counted_for_rectangles(nastk):
    asked = ["evaluate", TOY, "--space", "toy", "-e", "size", "--json"]
    counts = []
    for size in ("8", "8x12", "12x8", "[8,12]"):
        code, out, _ = nastk(*asked, "-d", f"size={size}", "-d", "channels=5")
        assert code == 0
        counts.append(json.loads(out)["metrics"]["multiply_adds"])
    assert counts[1] == counts[2] == counts[3] > counts[0]


def test_evaluate_prints_what_is_new_and_keeps_it(nastk):
    searched()
    code, out, _ = nastk("evaluate", "a", "-e", "size", "-e", "supernet")
    assert code == 0
    assert "supernet" in out and "size" in out and "Training" not in out and "Cost" not in out
    stored = json.loads(Path("a/result.json").read_text())["evaluations"]
    assert [one["evaluator"] for one in stored] == ["size", "supernet"]
    code, out, _ = nastk("evaluate", "a", "-e", "supernet", "-o", "batch_size=8", "--json")
    assert code == 0 and json.loads(out)["evaluator"] == "supernet"
    code, _, err = nastk("evaluate", "a", "-e", "size", "--space", "toy")
    assert code == 2 and "--space is for an architecture from elsewhere" in " ".join(err.split())


def test_an_evaluator_without_need_of_images_judges_a_run_whose_images_are_gone(nastk, tmp_path):
    from PIL import Image

    for name in ("one", "two"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(6):
            color = (40 * number, 90 if name == "one" else 200, 30)
            Image.new("RGB", (8, 8), color).save(tmp_path / "photos" / name / f"{number}.png")
    data = {"name": "folder", "options": {"path": "photos", "size": 8}}
    trainer = {"epochs": 1, "batch_size": 2}
    result = package.search("toy", "random", data, out="a", trainer=trainer, evaluators=["size"])
    before = result.evaluation["parameters"]
    shutil.rmtree(tmp_path / "photos")
    code, out, err = nastk("evaluate", "a", "-e", "size", "--json")
    assert code == 0, err
    assert json.loads(out)["metrics"]["parameters"] == before


def test_a_table_judges_without_images(nastk, tmp_path):
    texts = [STRING.replace("none~0", f"{name}~0") for name in ("none", "nor_conv_3x3")]
    rows = [f"{text},{90 + place}" for place, text in enumerate(texts)]
    (tmp_path / "t.csv").write_text("\n".join(["arch,cifar10_test", *rows]))
    code, _, err = nastk("table", "import", "t.csv", "-o", "t.table")
    assert code == 0, err
    code, out, err = nastk("evaluate", STRING, "-e", "table,table=./t.table", "--json")
    assert code == 0, err
    metrics = json.loads(out)["metrics"]
    assert (metrics["rank"], metrics["architectures"]) == (1, 2)


MEANT = {"runs/a": True, "no/such/run": True, "DARTS_V2": False, CELL: False, "|a~0|/b": False}
MEANT |= {"x" * 9000: False, "a\0b": False}


@pytest.mark.parametrize("word", MEANT)
def test_what_is_meant_as_a_run(word, workplace):
    assert means_a_run(word) is MEANT[word]
