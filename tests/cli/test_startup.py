"""The help stays light: what only looks does not import torch. Each case is its own process."""

import os
import subprocess
import sys

import pytest
from run_kit import write_run

RUN = """
import sys
from nastk.cli import main
sys.argv = ["nastk", *sys.argv[1:]]
try:
    main()
except SystemExit as ending:
    assert not ending.code, ending.code
heavy = {"torch", "torchvision", "sklearn", "scipy", "matplotlib", "pytest"}
heavy = (heavy | {"tensorboard", "mlflow", "wandb", "ray"}) & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "Usage: nastk"),
        (["--version"], "nastk "),
        (["search", "--help"], "--updater"),
        (["plugins"], "shapley"),
        (["plugins", "--json"], '"shapley"'),
        (["runs", "."], "finished"),
        (["show", "run"], "Ranking quality"),
        (["watch", "run", "--json"], '"epoch-done"'),
        (["draw", "run"], "conv"),
        (["draw", "run", "--branches"], "0.1"),
        (["describe", "shapley"], "min_ratio"),
        (["describe", "ranking", "--json"], '"sample_seed"'),
    ],
)
def test_no_torch_is_imported(arguments, words, tmp_path):
    write_run(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert words in done.stdout
    assert not done.stderr


def test_a_shell_is_answered_without_torch(tmp_path):
    words = "nastk search --space darts --updater shapley -u "
    asked = {"_NASTK_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "7"}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **asked},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "samples=10" in done.stdout.split()


def test_the_public_names_are_listed_without_torch():
    code = (
        "import sys, nastk, nastk.testing; dir(nastk), nastk.__all__; assert 'torch' not in "
        "sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_command_of_a_disabled_plugin_says_that_it_was_left_out(tmp_path):
    command = [sys.executable, "-c", "from nastk.cli import main; main()", "draw", "run"]
    disabled = {**os.environ, "NASTK_DISABLE": "nastk_drawing"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=disabled, check=False
    )
    assert done.returncode == 2
    assert "No such command 'draw'. NASTK_DISABLE leaves out: nastk_drawing." in done.stderr


TOLD_FIRST = """
import sys
class Heard:
    def __init__(self, stream):
        self.stream, self.first = stream, None
    def write(self, text):
        if "starting" in text and self.first is None:
            self.first = "torch" in sys.modules
        return self.stream.write(text)
    def __getattr__(self, name):
        return getattr(self.stream, name)
sys.stderr = heard = Heard(sys.stderr)
from nastk.cli import main
sys.argv = ["nastk", "search", "--space", "toy", "--updater", "nothing"]
try:
    main()
except SystemExit as ending:
    assert ending.code == 2
assert heard.first is False, heard.first
"""


def test_a_terminal_is_told_of_the_start_before_torch_is_imported(tmp_path):
    terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", TOLD_FIRST],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=terminal,
        check=False,
    )
    assert done.returncode == 0, done.stderr


BEFORE_A_STEP = """
import os
import sys
from nastk.train.trainer import Trainer
def first(trainer, branch, probe, batch):
    heavy = {"scipy", "sklearn", "pandas", "matplotlib", "torchvision"}
    heavy = (heavy | {"tensorboard", "mlflow", "wandb", "ray"}) & set(sys.modules)
    assert not heavy, heavy
    print("began", flush=True)
    os._exit(0)  # an exception would be told as the updater's
Trainer._weight_step = first
import nastk
nastk.search("darts", "shapley", out=sys.argv[1])
"""


def test_a_search_begins_without_what_only_its_end_needs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BEFORE_A_STEP, str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "began\n"), done.stderr
