"""The protocol of a study: written before it runs; another one is refused, additions are dated."""

import hashlib
import json

import pytest
from cli_kit import called

import nastk
from nastk import ConfigurationError
from nastk.report.protocol import protocol_notes
from nastk.runs import protocol
from nastk.runs.protocol import Protocol, hashed, registered, study_standing
from nastk.runs.study import plan

TOY = {"space": "toy", "data": "toy", "trainer": {"epochs": 1, "batch_size": 48, "threads": 1}}
RANDOM = nastk.use("random", candidates=2)


def planned(out, updaters=("darts", RANDOM), seeds=(0, 1), budget=None, **changes):
    return plan({**TOY, **changes}, updaters, list(seeds), out, budget)


@pytest.fixture
def day(monkeypatch):
    """A list with the day of today."""
    days = ["2026-11-30T10:00:00+00:00"]
    monkeypatch.setattr(protocol, "today", lambda: days[0])
    return days


def notes(folder, shown=(), metric=None):
    study = nastk.Study(folder, shown)
    return [str(line) for line in protocol_notes(study_standing(study), metric).renderables]


def test_the_hash_is_of_the_canonical_form():
    text = '{"a":[1,"\u00e9"],"b":null}'
    assert hashed({"b": None, "a": [1, "\u00e9"]}) == hashlib.sha256(text.encode()).hexdigest()


def test_it_holds_what_decides_the_study_and_not_what_differs_between_runs(tmp_path):
    registered(planned(tmp_path), tmp_path, "test_accuracy")
    found = json.loads((tmp_path / "protocol.json").read_text())
    (problem,) = found["problems"].values()
    assert problem["settings"]["space"]["name"] == "toy"
    assert {"data", "budget", "trainer", "evaluators", "limits"} <= set(problem["settings"])
    assert not {"updater", "seed", "device"} & set(problem["settings"])
    assert len(problem["images"]) == 16 and found["metric"] == "test_accuracy"
    assert {name: row["seeds"] for name, row in found["rows"].items()} == {
        "darts": {"0": None, "1": None},
        "random-candidates=2": {"0": None, "1": None},
    }
    assert Protocol.read(tmp_path).hash == found["hash"]
    content = (tmp_path / "protocol.json").read_bytes()
    registered(planned(tmp_path, trainer={**TOY["trainer"], "workers": 1}), tmp_path)
    assert (tmp_path / "protocol.json").read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainer": {**TOY["trainer"], "epochs": 2}}, "trainer.epochs is 2, was 1"),
        ({"space": nastk.use("toy", channels=5)}, "space.options.channels is 5, was 4"),
        ({"evaluators": ["size"]}, "evaluators is "),
        ({"budget": "images=5k", "trainer": {"batch_size": 48}}, 'budget is "images=5k", was null'),
    ],
)
def test_another_protocol_is_refused_before_any_run_with_what_differs(changes, message, tmp_path):
    """Also for updaters that are new: nothing has run yet, so no run folder could tell."""
    registered(planned(tmp_path), tmp_path)
    with pytest.raises(ConfigurationError, match="another protocol") as caught:
        registered(planned(tmp_path, ["snas", RANDOM], **changes), tmp_path)
    assert message in str(caught.value) and "choose another --out" in str(caught.value)


def test_other_images_are_refused(tmp_path, monkeypatch):
    registered(planned(tmp_path), tmp_path)
    before = protocol.inventory_of

    def other(config):
        data = config.data.model_copy(update={"options": {**config.data.options, "images": 90}})
        return before(config.model_copy(update={"data": data}))

    monkeypatch.setattr(protocol, "inventory_of", other)
    with pytest.raises(ConfigurationError, match="the images are others"):
        registered(planned(tmp_path), tmp_path)


def test_what_is_added_later_has_its_day_and_what_was_left_stays(tmp_path, day):
    registered(planned(tmp_path), tmp_path)
    day[0] = "2026-12-02T10:00:00+00:00"
    registered(planned(tmp_path, ["snas", RANDOM], [0, 2]), tmp_path)
    first, added, left = notes(tmp_path)
    assert first.startswith("Registered on 2026-11-30: protocol ")
    assert added == ("Added later: seed 2 of random(candidates=2) (2026-12-02); snas (2026-12-02).")
    assert left == "Registered, without a run: darts; random(candidates=2); snas."


def test_the_metric_is_registered_and_another_one_is_told(tmp_path, day):
    registered(planned(tmp_path), tmp_path, "valid_accuracy")
    registered(planned(tmp_path), tmp_path, "rank")
    assert "for valid_accuracy: protocol" in notes(tmp_path, metric="valid_accuracy")[0]
    said = "The metric rank was chosen after the study was registered."
    assert notes(tmp_path, metric="rank")[-1] == said


def test_whichever_process_times_a_budget_first_decides_for_all(tmp_path, monkeypatch):
    request = {"trainer": {"batch_size": 16}, "budget": "images=1k"}
    first = registered(planned(tmp_path, ["darts"], **request), tmp_path)
    monkeypatch.setattr(nastk.runs.budget.Budget, "epochs", lambda self, assembly: 3)
    again = planned(tmp_path, ["darts"], **request)
    assert {cell.config.trainer.epochs for cell in again} == {3}
    assert registered(again, tmp_path) == first


def test_a_preset_may_train_each_updater_in_its_own_way(tmp_path):
    cells = planned(tmp_path, ["darts"], preset="quick", trainer={})
    one, other = cells[0], cells[-1]
    config = other.config.model_copy(
        update={"trainer": other.config.trainer.model_copy(update={"epochs": 9})}
    )
    mixed = [one, nastk.runs.study_result.Cell(other.label, 0, config, other.folder, one.problem)]
    registered(mixed, tmp_path)
    (problem,) = Protocol.read(tmp_path).problems.values()
    assert "trainer" not in problem["settings"]
    assert registered(mixed, tmp_path) == mixed


def test_a_study_of_an_earlier_version_is_registered_late_and_a_damaged_one_refused(tmp_path):
    nastk.compare(updaters=[RANDOM], seeds=[0], out=tmp_path, **TOY)
    (tmp_path / "protocol.json").unlink()
    assert study_standing(nastk.Study.load(tmp_path)) is None
    nastk.compare(updaters=[RANDOM], seeds=[0], out=tmp_path, **TOY)
    code, out, _ = called("compare", "--show", tmp_path)
    assert code == 0 and ", when runs had begun: protocol " in out
    (tmp_path / "protocol.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"protocol\.json is damaged"):
        nastk.compare(updaters=[RANDOM], seeds=[0], out=tmp_path, **TOY)


def test_a_later_command_shows_its_updaters_and_names_the_others(tmp_path, day):
    nastk.compare(updaters=[RANDOM, "darts"], seeds=[0], out=tmp_path, **TOY)
    nastk.compare(updaters=[RANDOM], seeds=[0], out=tmp_path, **TOY)
    code, out, _ = called("compare", "--show", tmp_path, "--json")
    found = json.loads(out)["protocol"]
    assert code == 0 and [row["updater"] for row in found["unshown"]] == ["darts"]
    assert found["left"] == [] and found["registered"] == "2026-11-30"
