"""What the shell offers at TAB, asked as bash asks it; `test_startup.py` holds that torch rests."""

import pytest
from cli_kit import called
from run_kit import write_run

from nastk import Offer, catalogue
from nastk.base.plugins import Installed

CASES = {
    "spaces": ("nastk search --space mobi", {"mobilenet"}),
    "updaters": ("nastk search --updater fewsh", {"fewshot"}),
    "data": ("nastk search --data cifar", {"cifar10", "cifar100"}),
    "evaluators": ("nastk search -e s", {"size", "supernet"}),
    "an evaluator's options": ("nastk search -e retrain,ep", {"retrain,epochs=600"}),
    "its second option": (
        "nastk search -e retrain,epochs=2,spl",
        {"retrain,epochs=2,split=train", "retrain,epochs=2,split=train+valid"},
    ),
    "presets": ("nastk search --space darts --updater shapley --preset ", {"quick", "paper"}),
    "presets of another space": ("nastk search --space toy --updater shapley --preset p", set()),
    "options of the updater": (
        "nastk search --updater shapley -u vari",
        {"variant=paper", "variant=official"},
    ),
    "options of an updater that is not named": ("nastk search -u vari", set()),
    "options of the space": ("nastk search --space toy -s ", {"channels=4"}),
    "options of the default data": ("nastk search -d lim", {"limit="}),
    "options of a folder": ("nastk search --data folder:x -d pat", {"path="}),
    "options of the trainer": ("nastk search -t bat", {"batch_size=64"}),
    "options of the ranking": ("nastk search -r sample_", {"sample_seed=0"}),
    "options of one of several": (
        "nastk compare --updater darts --updater shapley -u shapley.samp",
        {"shapley.samples=10"},
    ),
    "options of an evaluator": (
        "nastk evaluate runs/a -e retrain -o spl",
        {"split=train", "split=train+valid"},
    ),
    "limits": ("nastk search --limit pa", {"params="}),
    "devices": ("nastk search --device c", {"cpu", "cuda"}),
    "what is described": ("nastk describe ran", {"random", "ranking"}),
    "runs": ("nastk show ", {"runs/a", "here"}),
    "runs of a folder": ("nastk resume studies/s", {"studies/seed0"}),
    "runs to draw": ("nastk draw ru", {"runs/a"}),
    "commands": ("nastk des", {"describe"}),
    "a folder that is not there": ("nastk show nowhere/", set()),
}


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """What bash would be offered for a line of words, the last of which is being typed."""
    monkeypatch.chdir(tmp_path)

    def ask(line):
        monkeypatch.setenv("_NASTK_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        _, out, err = called()
        assert not err
        return out.split()

    return ask


@pytest.mark.parametrize("case", CASES)
def test_the_shell_is_offered_what_fits(offered, tmp_path, case):
    for place in ("runs/a", "here", "studies/seed0"):
        write_run(tmp_path / place)
    line, expected = CASES[case]
    found = offered(line)
    assert len(found) == len(set(found))
    assert all(word.startswith(line.rpartition(" ")[2]) for word in found)
    # Others may fit as well, where something does.
    assert expected <= set(found) if expected else not found


def test_a_package_without_a_file_of_descriptions_offers_its_names(offered, monkeypatch):
    offer = Offer("acme", "made by acme", "no_such_package.updater:Acme")
    one = Installed("updater", offer, "acme-nas", "2.0")
    monkeypatch.setitem(catalogue().installed["updater"], "acme", [one])
    assert offered("nastk search --updater acm") == ["acme"]
    assert offered("nastk search --updater acme -u ") == []
