"""TensorBoard, MLflow and Weights & Biases as they are: what a stopped and resumed run leaves."""

import json
import struct
from types import SimpleNamespace

import pytest

import nastk
from nastk.report.entries import entry, settings
from nastk.testing import TrackerContract

pytestmark = [
    pytest.mark.slow,  # the libraries take seconds to load, and MLflow to make a database
    pytest.mark.filterwarnings("ignore"),  # theirs; that all was told is asserted
]
NAMES = ("tensorboard", "mlflow", "wandb")
RANKING = {"every": 1, "evaluator": "size", "metric": "parameters", "sample": 10, "images": 24}
SEARCH = {"space": "toy", "updater": "darts", "data": "toy", "trainer": {"epochs": 2}}


@pytest.fixture(scope="module")
def run(tmp_path_factory, request):
    """A search with all three that was stopped after an epoch and resumed, and what it told."""
    for name in NAMES:
        pytest.importorskip(name)
    place = tmp_path_factory.mktemp("tracked")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.chdir(place)  # where MLflow keeps files
    request.addfinalizer(monkeypatch.undo)
    uri = f"sqlite:///{place / 'mlflow.db'}"
    trackers = ["tensorboard", nastk.use("mlflow", uri=uri, experiment="toys"), "wandb"]
    with nastk.stream(
        {**SEARCH, "ranking": RANKING}, out=place / "run", trackers=trackers
    ) as events:
        next(event for event in events if event.kind == "epoch-done")
    result = nastk.resume(place / "run")
    edges = nastk.catalogue().load("space", "toy")().edges
    told = [found for line in result.history if (found := entry(line, edges)) is not None]
    config = json.loads((place / "run" / "config.json").read_text())
    return SimpleNamespace(
        folder=place / "run",
        uri=uri,
        told=told,
        text=result.text,
        history=result.history,
        settings=settings(config),
        memory=json.loads((place / "run" / "trackers.json").read_text()),
    )


def curves(told, names=lambda name: name):
    """Each name's (step, number), as they were told."""
    found = {}
    for each in told:
        for name, number in each.numbers.items():
            found.setdefault(names(name), []).append((each.step, pytest.approx(number, rel=1e-6)))
    return found


class TestTensorBoard(TrackerContract):
    tracker = nastk.catalogue().load("tracker", "tensorboard")


@pytest.mark.parametrize("name", NAMES)
def test_every_event_was_told(run, name):
    assert run.memory[name]["told"] == len(run.history)
    told = curves(run.told)
    assert {"train/loss", "train/accuracy", "decision/entropy", "ranking/scores/kendall",
            "evaluation/size/parameters"} <= set(told)  # fmt: skip
    assert len([name for name in told if name.startswith("scores/")]) > 10
    assert any(name.startswith("warning/") for each in run.told for name in each.texts)


def test_tensorboard_has_the_curves_of_both_parts_as_one_record(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert len(list((run.folder / "tensorboard").iterdir())) == 2
    record = EventAccumulator(str(run.folder / "tensorboard"))
    record.Reload()
    assert {
        name: [(point.step, point.value) for point in record.Scalars(name)]
        for name in record.Tags()["scalars"]
    } == curves(run.told)
    texts = {
        name.removesuffix("/text_summary"): record.Tensors(name)[-1].tensor_proto.string_val[0]
        for name in record.Tags()["tensors"]
    }
    assert texts["architecture"].decode() == run.text
    assert "| updater.name | darts |" in texts["settings"].decode()
    assert len(record.Tensors("settings/text_summary")) == 1, "once, not with each process"


def test_mlflow_has_one_run_with_settings_curves_and_the_architecture(run):
    from mlflow import MlflowClient

    from nastk_mlflow.tracker import _named

    client = MlflowClient(run.uri)
    (made,) = client.search_runs([client.get_experiment_by_name("toys").experiment_id])
    assert made.info.run_id == run.memory["mlflow"]["memory"]["run_id"]
    assert (made.info.run_name, made.info.status) == ("run", "FINISHED")
    assert made.data.params == {_named(name): str(value) for name, value in run.settings.items()}
    told = curves(run.told, _named)
    assert set(made.data.metrics) == set(told)
    for name in told:
        points = client.get_metric_history(made.info.run_id, name)
        assert [(point.step, point.value) for point in points] == told[name], name
        assert all(point.timestamp > 1e12 for point in points)
    assert [item.path for item in client.list_artifacts(made.info.run_id)] == ["architecture.txt"]
    assert made.data.tags["nastk.version"] == nastk.__version__
    assert any(name.startswith("warning/") for name in made.data.tags)


def test_wandb_has_both_parts_under_one_id(run):
    parts = sorted((run.folder / "wandb").glob("offline-run-*"))
    assert len(parts) == 2
    records = [record for part in parts for record in read(part)]
    made = [record.run for record in records if record.HasField("run")]
    assert {each.run_id for each in made} == {run.memory["wandb"]["memory"]["id"]}
    config = {item.key: json.loads(item.value_json) for item in made[0].config.update}
    assert {name: config[name] for name in run.settings} == run.settings
    found = {}
    for record in records:
        if record.HasField("history"):
            row = {
                "/".join(item.nested_key) or item.key: json.loads(item.value_json)
                for item in record.history.item
            }
            for name in set(row) - {"step"}:
                if not name.startswith("_"):
                    found.setdefault(name, []).append((row["step"], row[name]))
    assert found == curves(run.told)
    summary = {
        item.key or "/".join(item.nested_key): item.value_json
        for record in records
        if record.HasField("summary")
        for item in record.summary.update
    }
    assert json.loads(summary["architecture"]) == run.text


def read(part):
    """The records of an offline run, from its log of blocks of 32 KiB (that of LevelDB)."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = part.glob("*.wandb")
    content, place, begun = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (room := -place % 2**15) and room < 7:
            place += room
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        begun += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            yield Record.FromString(begun)
            begun = b""
