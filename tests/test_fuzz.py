"""Twenty thousand bad requests: each ends in a result or in one message, never otherwise.

`pytest -m slow tests/test_fuzz.py` takes some minutes. Every case derives from a fixed seed and is
named by its number. `fuzz_kit.py` says what a wrong ending is.
"""

import json
import os
import random
from functools import cache
from itertools import product

import numpy as np
import pytest
import yaml
from fuzz_kit import (
    VALUES,
    Endings,
    attempt,
    command,
    copied,
    damaged,
    spoiled_bytes,
    spoiled_text,
    spoiled_value,
)
from PIL import Image

import nastk
from nastk import Architecture, catalogue, resolve
from nastk.base.seeds import generator
from nastk.runs.config import read_config, to_json
from nastk.testing.toy import EDGES

pytestmark = pytest.mark.slow

TOY = {
    "space": "toy",
    "updater": "random",
    "data": "toy",
    "trainer": {"epochs": 1, "batch_size": 16, "threads": 1},
    "evaluators": ["size"],
}
WHOLE = {
    **TOY,
    "space": {"name": "toy", "options": {"channels": 4}},
    "updater": {"name": "shapley", "options": {"samples": 2, "warmup": 0, "batch_size": 16}},
    "data": {"name": "toy", "options": {"images": 96, "train_fraction": 0.5}},
    "evaluators": ["size", {"name": "supernet", "options": {"batch_size": 24}}],
    "limits": [{"metric": "params", "value": 0.5}],
    "ranking": {"every": 1, "evaluator": "size", "sample": 10, "images": 24},
    "leaf_evaluator": "supernet",
    "seed": 1,
    "device": "cpu",
    "precision": "fp32",
    "deterministic": False,
}


def test_every_option_of_every_component_takes_or_refuses_any_value():
    endings, installed = Endings(), catalogue()
    for one in installed.all():
        fields = installed.load(one.kind, one.offer.name).Options.model_fields
        for option in fields:
            for number, value in enumerate(VALUES):
                use = {"name": one.offer.name, "options": {option: value}}
                request = TOY | (
                    {"evaluators": [use]} if one.kind == "evaluator" else {one.kind: use}
                )
                attempt(
                    endings,
                    f"{one.kind} {one.offer.name} {option}={value!r} (value {number})",
                    lambda request=request: resolved_twice(request),
                )
    for section in ("trainer", "ranking"):
        from nastk.train import options, ranking

        model = {"trainer": options.TrainerOptions, "ranking": ranking.RankingOptions}[section]
        for option in model.model_fields:
            for value in VALUES:
                request = TOY | {section: {option: value}}
                attempt(
                    endings,
                    f"{section} {option}={value!r}",
                    lambda request=request: resolved_twice(request),
                )
    assert endings.cases > 5000
    endings.check()


def resolved_twice(request):
    """A configuration that is taken is strict JSON, and says the same when it is read again."""
    config = resolve(request)
    text = to_json(config)
    json.dumps(json.loads(text), allow_nan=False)
    assert resolve(json.loads(text)) == config


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_config_files_are_taken_or_refused(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endings, rng = Endings(), random.Random(f"config {form}")
    write = {"yaml": yaml.safe_dump, "json": lambda value: json.dumps(value, indent=1)}[form]
    file = tmp_path / f"config.{form}"
    for number in range(1200):
        if number % 2:
            content = spoiled_text(write(WHOLE), rng).encode("utf-8", "surrogatepass")
        else:
            content = write_any(write, spoiled_value(spoiled_value(WHOLE, rng), rng))
        file.write_bytes(content if rng.random() < 0.95 else spoiled_bytes(content, rng))
        name = f"{form} config {number}"
        if number % 8:
            attempt(endings, name, lambda: resolved_twice(read_config(file)))
        else:
            arguments = ["search", "--config", str(file), "--dry-run"]
            command(endings, name, arguments, {0, 1, 2})
    endings.check()


def write_any(write, value):
    try:
        return write(value).encode("utf-8", "surrogatepass")
    except (yaml.YAMLError, ValueError):
        return repr(value).encode()


@pytest.mark.parametrize("space", catalogue().names("space"))
def test_texts_of_architectures_are_read_or_refused(space):
    endings, rng = Endings(), random.Random(f"texts {space}")
    made = catalogue().load("space", space)
    made = made(made.parse_options({}))
    known = [made.sample(made.full(), generator(number, space)) for number in range(20)]

    def read(text):
        """What is read is an architecture of the space, whose own text gives it back."""
        found = made.from_text(text)
        assert made.from_text(made.to_text(found)) == found

    def load(value):
        found = Architecture.from_json(value)
        assert Architecture.from_json(json.loads(json.dumps(found.to_json()))) == found

    for number in range(300):
        architecture = rng.choice(known)
        text = spoiled_text(made.to_text(architecture), rng)
        attempt(endings, f"{space} text {number} {text!r}", lambda text=text: read(text))
        value = spoiled_value(architecture.to_json(), rng)
        attempt(endings, f"{space} JSON {number}", lambda value=value: load(value))
    endings.check()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A finished run and one that was stopped after its first epoch."""
    place = tmp_path_factory.mktemp("fuzz")
    nastk.search(**TOY, out=place / "finished")
    request = TOY | {"trainer": {**TOY["trainer"], "epochs": 2}}
    events = nastk.stream(request, out=place / "stopped")
    for event in events:
        if event.kind == "checkpoint-saved" and event.epoch == 1:
            break
    events.close()
    return place


@pytest.mark.parametrize("state", ["finished", "stopped"])
def test_damaged_run_folders_are_said_to_be_damaged(state, runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endings, rng = Endings(), random.Random(f"damaged {state}")
    commands = [
        ["show", "a"],
        ["show", "a", "--json"],
        ["runs", "."],
        ["runs", ".", "--json"],
        ["draw", "a"],
        ["draw", "a", "-o", "cell.svg"],
        ["draw", "a", "--curves", "-o", "curves.svg"],
        ["report", "a", "-o", "report.html"],
        ["evaluate", "a", "-e", "size"],
        ["resume", "a", "-q"],
    ]
    for number in range(500):
        if number % 4 == 0 or state == "stopped":
            copied(runs / state, tmp_path / "a")
            done = damaged(tmp_path / "a", rng)
        arguments = commands[number % len(commands)]
        if state == "stopped" and arguments[0] in ("draw", "evaluate"):
            arguments = ["resume", "a", "-q"]
        name = f"{state} {number}: {' '.join(arguments)} where {done}"
        code, out = command(endings, name, arguments, {0, 1, 2})
        if code == 0 and "--json" in arguments:
            attempt(endings, name, lambda out=out: json.loads(out, parse_constant=refused))
    endings.check()


def refused(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_command_lines_are_taken_or_refused(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied(runs / "finished", tmp_path / "a")
    endings, rng = Endings(), random.Random("command lines")
    search = "search --space toy --updater random --data toy --epochs 1 -t batch_size=16 --dry-run"
    compare = "compare --space toy --updater random --data toy"
    known = [
        line.split()
        for line in (
            search,
            f"{search} -u candidates=4 -s channels=4 -d images=96 --limit params=1M",
            f"{search} --ranking size -r sample=10 --seed 3 -e size --device cpu",
            f"{compare} --seeds 0-1 --budget images=-1",
            f"{compare} --seeds x --epochs 1",
            "show a --json",
            "draw a -o cell.svg",
            "draw a --scores -o scores.svg",
            "report a -o report.html",
            "runs . --json",
            "describe random --json",
            "table info a",
            "evaluate a -e size --json",
            "evaluate conv,skip,pool,conv,skip --space toy -e size",
        )
    ]
    for number in range(500):
        arguments = list(rng.choice(known))
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(1, len(arguments))
            if arguments[place] == "--dry-run":
                continue
            strange = str(rng.choice(VALUES)).replace("\x00", "")
            arguments[place] = rng.choice(
                (strange, spoiled_text(arguments[place], rng).replace("\x00", ""))
            )
        if arguments[0] == "search" and "--dry-run" not in arguments:
            arguments.append("--dry-run")
        arguments = [os.fsdecode(each.encode("utf-8", "replace")) for each in arguments]
        command(endings, f"line {number}: {arguments}", arguments, {0, 1, 2})
    endings.check()


def test_image_folders_are_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endings, rng = Endings(), random.Random("folders")
    source = catalogue().load("data", "folder")
    for number in range(500):
        place = tmp_path / str(number)
        picture_folder(place, rng)
        attempt(endings, f"folder {number}", lambda place=place: splits_of(source, place))
    endings.check()


def splits_of(source, place):
    """Splits that are read hold images of one size and labels of known classes."""
    made = source(source.parse_options({"path": str(place)}))
    splits = made.splits(0)
    for split in (splits.train, splits.valid, splits.test):
        assert all(0 <= int(label) < made.task.classes for label in split.labels)


NAMES = (
    "train",
    "Train",
    "test",
    "valid",
    "val",
    "TEST",
    "a",
    "b",
    "class 1",
    ".hidden",
    "é",
    "$x$",
)


def picture_folder(place, rng):
    """One to three levels of folders with pictures, texts, links, pipes and broken files."""
    place.mkdir()
    classes = rng.sample(NAMES, rng.randint(1, 4))
    inner = rng.sample(("a", "b", "c"), rng.randint(1, 3))
    folders = [place / name for name in classes]
    if rng.random() < 0.5:
        folders = [folder / name for folder in folders for name in inner]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(rng.choice((0, 1, 2, 5))):
            picture(folder / f"{number}.{rng.choice(('png', 'jpg', 'PNG', 'bmp', 'gif'))}", rng)
        strange = rng.randrange(10)
        if strange == 0:
            (folder / "loop").symlink_to(place)
        elif strange == 1:
            os.mkfifo(folder / "pipe.png")
        elif strange == 2:
            (folder / "notes.txt").write_text("none")
        elif strange == 3:
            (folder / "gone.png").symlink_to(place / "nothing.png")
        elif strange == 4:
            (folder / "folder.png").mkdir()


def picture(path, rng):
    mode = rng.choice(("RGB", "L", "RGBA", "P", "1", "LA", "I;16"))
    side = rng.choice((8, 8, 8, 1, 9))
    if mode == "I;16":
        values = np.random.default_rng(rng.randrange(100)).integers(0, 4096, (side, side))
        image, path = Image.fromarray(values.astype(np.uint16)), path.with_suffix(".png")
    else:
        noise = np.random.default_rng(rng.randrange(100)).integers(0, 256, (side, side, 3))
        image = (
            Image.fromarray(noise.astype(np.uint8))
            .convert("RGBA")
            .convert(mode.replace("LA", "RGBA"))
        )
        if path.suffix.lower() in (".jpg", ".bmp"):
            image = image.convert("RGB")
    image.save(path)
    if rng.random() < 0.05:
        path.write_bytes(spoiled_bytes(path.read_bytes(), rng))


def test_tables_are_imported_or_refused_and_a_good_one_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endings, rng = Endings(), random.Random("tables")
    file, out = tmp_path / "a.csv", tmp_path / "t.table"
    texts = [",".join(each) for each in product(*(edge.operations for edge in EDGES))]
    rows = "".join(f'"{text}",{50 + number * 0.05:.2f},1.5\n' for number, text in enumerate(texts))
    good = f"arch,cifar10_test,cifar10_params_M\n{rows}"
    line = ["table", "import", str(file), "--space", "toy", "-o", str(out)]
    file.write_text(good)
    assert command(endings, "the good table", line, {0})[0] == 0
    for number in range(500):
        few = "\n".join(good.splitlines()[: rng.randint(2, 12)]) + "\n"
        content = spoiled_text(few, rng).encode("utf-8", "surrogatepass")
        file.write_bytes(content if rng.random() < 0.8 else spoiled_bytes(content, rng))
        before = out.read_bytes()
        code, _ = command(endings, f"table {number}", line, {0, 1, 2})
        if code:
            assert out.read_bytes() == before
        info = ["table", "info", str(out)]
        command(endings, f"info after table {number}", info, {0})
    for number in range(200):
        file.write_text(good)
        out.write_bytes(spoiled_bytes(before, rng))
        command(endings, f"info of damaged {number}", ["table", "info", str(out)], {0, 1, 2})
    endings.check()


@cache
def latency_table(place):
    endings, path = Endings(), place / "latency.json"
    line = "latency build --space toy --data toy --device cpu --samples 1 --repeats 1 --out"
    command(endings, "the good latency table", [*line.split(), str(path)], {0})
    endings.check()
    return json.loads(path.read_text())


def test_latency_tables_are_read_or_refused(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    endings, rng = Endings(), random.Random("latency")
    copied(runs / "finished", tmp_path / "a")
    good, file = latency_table(runs), tmp_path / "l.json"
    for number in range(300):
        text = (
            json.dumps(spoiled_value(good, rng))
            if number % 2
            else spoiled_text(json.dumps(good), rng)
        )
        file.write_bytes(text.encode("utf-8", "surrogatepass"))
        line = ["evaluate", "a", "-e", "latency", "-o", f"table={file}"]
        command(endings, f"latency table {number}", line, {0, 1, 2})
    endings.check()
