"""Damaged files in a run folder: one message that names the file, and nothing else is lost."""

import json
import shutil

import pytest
from cli_kit import called
from core_kit import WISHES, rewrite, searched

import nastk
from nastk import NastkError
from nastk.base.events import EpochDone
from nastk.runs.folder import CONFIG, EVENTS, RESULT, RunFolder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "run"
    searched(path, updater="darts")
    return path


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "runs" / "run")


def nastk_says(*words):
    """The command line: (exit code, stdout, stderr in one line)."""
    code, out, err = called(*words)
    return code, out, " ".join(err.split())


def phase(name, value):
    return lambda result: result["cost"]["train"].update({name: value})


RESULTS = {
    "nothing": lambda result: result.clear(),
    "no text": lambda result: result.pop("text"),
    "peak memory": phase("peak_memory", None),
    "images": phase("images_forward", "many"),
    "an unknown cost": phase("x", 1),
    "a metric": lambda result: result["evaluations"][0]["metrics"].update(valid_accuracy="x"),
    "evaluations": lambda result: result.update(evaluations={}),
    "an edge": lambda result: result["architecture"]["edges"][0].update(node="a"),
    "an operation": lambda result: result["architecture"]["edges"][0].update(chosen=["sing"]),
    "operations": lambda result: result["architecture"]["edges"][0].update(operations="conv"),
    "no architecture": lambda result: result.update(architecture=None),
    "task": lambda result: result["task"].update(labels=3),
}
CONFIGS = {
    "nothing": lambda config: config.clear(),
    "a text": lambda config: config.update(space="toy"),
    "trainer": lambda config: config.update(trainer=[]),
    "epochs": lambda config: config["trainer"].update(epochs=None),
    "seed": lambda config: config.update(seed="0"),
}
COMMANDS = (("show",), ("draw",), ("resume", "-q"), ("evaluate", "-e", "size"))
DAMAGES = [*((RESULT, one) for one in RESULTS), *((CONFIG, one) for one in CONFIGS)]


@pytest.mark.parametrize(
    ("file", "damage", "command"),
    [
        # Every damage is shown to one of the commands in turn; to all of them where there is time.
        pytest.param(*one, command, marks=[] if (row + column) % 4 == 0 else pytest.mark.slow)
        for row, one in enumerate(DAMAGES)
        for column, command in enumerate(COMMANDS)
    ],
)
def test_wrong_values_are_one_message_that_names_the_file(file, damage, command, run):
    rewrite(run / file, {RESULT: RESULTS, CONFIG: CONFIGS}[file][damage])
    first, *rest = command
    code, _, said = nastk_says(first, run, *rest)
    if file == CONFIG and first == "resume":  # a finished run is shown from its result alone
        assert code == 0 and "finished already" in said
    else:
        assert code in (1, 2) and file in said and "Traceback" not in said


@pytest.mark.parametrize("damage", [lambda p: (p.unlink(), p.mkdir()), lambda p: p.write_text("[")])
def test_files_that_do_not_read_are_one_message(damage, run):
    damage(run / RESULT)
    code, _, said = nastk_says("show", run)
    assert code == 1 and "result.json cannot be read" in said and "Remove it" in said


def test_one_damaged_run_hides_no_other(run):
    names = {"config": CONFIG, "result": RESULT}
    for name, file in names.items():
        bad = shutil.copytree(run, run.with_name(name))
        (bad / file).write_text("{")
    code, out, said = nastk_says("runs", run.parent, "--json")
    assert code == 0
    states = {row["path"].rpartition("/")[2]: row["state"] for row in json.loads(out)}
    assert states == {"run": "finished", "config": "damaged", "result": "damaged"}
    assert all(f"{name}/{file} cannot be read" in said for name, file in names.items())
    code, out, _ = nastk_says("runs", run.parent)
    assert code == 0 and out.split().count("damaged") == 2 and "finished" in out


LINES = [
    b"null",
    b"\xff{}",
    b'{"kind": 3}',
    b'{"kind": "epoch-done"}',
    b'{"kind": "epoch-done", "branch": "0", "epoch": "two", "step": 1}',
    b'{"kind": "epoch-done", "branch": "0", "epoch": 1, "step": 1, "loss": "low"}',
    b'{"kind": "epoch-done", "branch": ["0"], "epoch": 1, "step": 1}',
    b'{"time": 1}',
    b'{"kind": "watched", "time": "now"}',
    b"[" * 5000,
    b"",
]


def test_damaged_lines_are_left_out_and_counted(run):
    log = run / EVENTS
    whole = RunFolder(run).events()
    log.write_bytes(b"\n".join(LINES) + b"\n" + log.read_bytes())
    folder = RunFolder.open(run)
    assert folder.events() == whole
    assert folder.complaints() == [
        f"{log} is damaged: {len(LINES)} lines hold no event, left out here."
    ]
    code, _, said = nastk_says("show", run)
    assert code == 0 and f"{len(LINES)} lines hold no event" in said


def test_a_log_that_cannot_be_read_is_said(run):
    (run / EVENTS).unlink()
    (run / EVENTS).mkdir()
    code, _, said = nastk_says("show", run)
    assert code == 1 and "events.jsonl cannot be read: Is a directory" in said


def test_values_of_plugins_that_nobody_can_show_are_one_message(run):
    message = r"files of .*run hold something that cannot be shown"
    with pytest.raises(NastkError, match=message), RunFolder(run).reading():
        {}["lost"]


def test_a_bad_byte_in_the_log_costs_no_trained_run(tmp_path):
    for event in nastk.stream({**WISHES, "updater": "darts"}, out=tmp_path / "run"):
        if isinstance(event, EpochDone):
            break
    log = tmp_path / "run" / EVENTS
    content = bytearray(log.read_bytes())
    content[300] ^= 0x80
    log.write_bytes(content)
    assert nastk.resume(tmp_path / "run").architecture
    assert len(RunFolder(tmp_path / "run").complaints()) == 1
