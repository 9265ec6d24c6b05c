"""`nastk_latency`: known times are found again, tables are kept whole and refused elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from evaluators_kit import Even
from torch import nn
from typer.testing import CliRunner

import nastk_latency
from nastk import ConfigurationError, DataError, EvaluationContext, Execution, Task
from nastk.limits.limit import LimitOptions
from nastk.limits.limit import read as read_limit
from nastk.limits.model import Structure, features, keys_of
from nastk.limits.space import ConstrainedSpace
from nastk.testing import EvaluatorContract, ToyData, ToySpace
from nastk_latency import build as building
from nastk_latency.build import CHECKED, Effort, build, chosen, compared, left_out, tied
from nastk_latency.command_line import latency
from nastk_latency.evaluator import Latency
from nastk_latency.table import LatencyTable, digest, read
from nastk_latency.timing import Stopwatch, clock_of

CPU = Execution.choose("cpu", "fp32", threads=1)
MILLISECONDS = {"skip": 0.0, "conv": 2.0, "pool": 0.5}


def seconds_of(architecture):
    """Made-up times: the first cell type comes twice."""
    return 1e-3 * (
        3.0
        + sum(
            MILLISECONDS[name] * {"first": 2, "second": 1}[edge.group]
            for edge, name in architecture.links()
        )
    )


@pytest.fixture
def made_up(monkeypatch):
    """The table of a machine on which every pass takes exactly `seconds_of`."""

    def timed(space, task, execution, plan, architectures, tick):
        for done in range(len(architectures)):
            tick(done + 1, len(architectures))
        return [seconds_of(each) for each in architectures]

    monkeypatch.setattr(building, "timed", timed)
    return build(ToySpace(), ToyData().task, CPU, Effort())


@pytest.fixture
def file(made_up, tmp_path):
    path = tmp_path / "toy.json"
    made_up.store(path)
    return path


def setting(space=None, **changes):
    data = ToyData()
    return replace(EvaluationContext(space or ToySpace(), data.task, data.splits(0)), **changes)


# ---------------------------------------------------------------- timing


class Ticking:
    """A clock that a network's pass moves on by as much as the network says."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Sleeper(nn.Module):
    """Takes so long on a clock, each time by the next factor more."""

    def __init__(self, clock, seconds, factors=(1.0,)):
        super().__init__()
        self.clock, self.seconds, self.factors, self.passes = clock, seconds, factors, 0

    def forward(self, images):
        assert not self.training and torch.is_inference_mode_enabled()
        self.clock.now += self.seconds * self.factors[self.passes % len(self.factors)]
        self.passes += 1
        return images


def test_a_network_is_timed_beside_the_reference():
    clock = Ticking()
    watch = Stopwatch(Sleeper(clock, 0.01), torch.zeros(1, 3, 8, 8), 5, clock)
    slow = Sleeper(clock, 0.03, (1.0, 1.0, 1.0, 50.0, 1.0))  # one pass was interrupted
    assert watch.relative(slow) == pytest.approx(3.0)
    assert watch.seconds == pytest.approx(0.01)
    assert len(watch.taken) == 5 and slow.passes == 7


def test_a_single_thread_is_timed_by_the_processor():
    import time

    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert clock_of(cpu, 1) is time.process_time
    assert clock_of(cpu, 2) is clock_of(gpu, 1) is time.perf_counter


# ---------------------------------------------------------------- the fit


def test_known_times_are_found_again(made_up):
    for row in made_up.edges:
        scale = {"first": 2e-3, "second": 1e-3}[row.name.partition(":")[0]]
        for name, seconds in zip(row.operations, row.seconds, strict=True):
            assert seconds == pytest.approx(scale * MILLISECONDS.get(name, 0.0), abs=1e-12)
    assert made_up.rest == pytest.approx(3e-3)
    assert made_up.check.mean_relative_error < 1e-9
    assert made_up.check.correlation == pytest.approx(1.0)
    assert len(made_up.check.measured) == CHECKED


def test_every_operation_is_in_so_many_of_the_networks():
    space = ToySpace()
    fitted, checked = chosen(space, Structure.of(space), 3)
    counts = torch.stack([torch.tensor(each.table()) for each in fitted]).sum(0)
    assert (counts[Structure.of(space).choosable] >= 3).all()
    assert len(fitted) == 3 * 13 and len(checked) == CHECKED


def test_noise_is_averaged_over_edges_where_an_operation_takes_the_same():
    space = ToySpace()
    structure = Structure.of(space)
    fitted, checked = chosen(space, structure, 2)
    rng = torch.Generator().manual_seed(0)
    noise = 1 + 0.03 * torch.randn(len(fitted), generator=rng)
    found = tied(space, structure, fitted, [
        seconds_of(each) * float(scale) for each, scale in zip(fitted, noise, strict=True)
    ])  # fmt: skip
    assert torch.equal(found.costs[0], found.costs[2])  # one number for both edges
    check = compared(found, checked, [seconds_of(each) for each in checked])
    assert check.mean_relative_error < 0.02


def test_edges_that_differ_are_told_apart():
    space = ToySpace()
    structure = Structure.of(space)
    fitted, checked = chosen(space, structure, 3)

    def seconds(architecture):
        return 1.0 + sum(
            (1 + row) * (name == "conv")
            for row, edge in enumerate(space.edges)
            for name in architecture.choices[row]
        )

    found = tied(space, structure, fitted, [float(seconds(each)) for each in fitted])
    assert [float(row[2]) for row in found.costs] == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])
    assert compared(found, checked, [float(seconds(each)) for each in checked]).correlation > 0.999


def test_the_error_without_each_row_equals_leaving_it_out():
    space = ToySpace()
    rng = torch.Generator().manual_seed(0)
    drawn = [space.sample(space.full(), rng) for _ in range(15)]
    rows = features(drawn, keys_of(space.edges, lambda edges, row, name: (edges[row].group, name)))
    truth = torch.rand(15, generator=rng, dtype=torch.float64)
    errors = []
    for out in range(15):
        kept = [row for row in range(15) if row != out]
        solved = torch.linalg.pinv(rows[kept]) @ truth[kept]
        errors.append(float((rows[out] @ solved - truth[out]).abs()))
    assert left_out(rows, truth.tolist()) == pytest.approx(sum(errors) / 15, rel=1e-6)


def test_networks_that_cannot_take_the_images_are_named():
    class Narrow(ToySpace):
        def network(self, architecture, task):
            return nn.Linear(5, 2)

    with pytest.raises(ConfigurationError, match=r"space 'toy' cannot take 1 images of 3 x 8 x 8"):
        found = ToySpace().sample(ToySpace().full(), torch.Generator().manual_seed(0))
        building.timed(Narrow(), ToyData().task, CPU, Effort(), [found], lambda done, total: None)


def test_real_networks_are_timed():
    before = torch.manual_seed(3).get_state()
    heard = []
    table = build(ToySpace(), ToyData().task, CPU, Effort(batch=8, repeats=2, samples=1),
                  lambda done, total: heard.append((done, total)))  # fmt: skip
    assert heard[-1] == (23, 23)
    assert (table.networks, table.batch, table.repeats, table.threads) == (13, 8, 2, 1)
    assert min(table.check.measured) > 0 and min(min(row.seconds) for row in table.edges) == 0.0
    assert table.device
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- the file


def test_a_table_is_read_as_it_was_stored(made_up, file):
    assert read(file) == made_up
    assert file.stat().st_size < 5_000
    assert json.loads(file.read_text())["sha256"] == digest(made_up.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"batch": 1', '"batch": 2'), r"damaged: its checksum"),
        (lambda text: text[:-20], r"it is no JSON"),
        (lambda text: "[]", r"it has no checksum"),
    ],
)
def test_a_damaged_table_is_refused(change, message, file):
    text = file.read_text()
    assert change(text) != text
    file.write_text(change(text))
    with pytest.raises(DataError, match=message):
        read(file)


def test_a_table_of_another_form_is_refused(made_up, file):
    values = {**made_up.model_dump(mode="json"), "format": 2}
    file.write_text(json.dumps({**values, "sha256": digest(values)}))
    with pytest.raises(DataError, match=r"is no latency table: latency table: format must be one"):
        read(file)


def shorter(values):
    values["edges"][0]["seconds"].pop()


def longer(values):
    values["edges"][1]["seconds"].append(0.1)


def unequal(values):
    values["check"]["measured"].pop()


def huge(values):
    values["rest"] = 10**400


def endless(values):
    values["rest"] = float("inf")


def text(values):
    values["threads"] = "many"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (shorter, r"edges.0: expected . seconds on edge 'first:0->1', one for each operation"),
        (longer, r"edges.1: expected . seconds on edge .*, one for each operation"),
        (unequal, "check: expected as many foretold times as measured ones"),
        (huge, "is no latency table"),
        (endless, "rest: expected a finite number, got inf"),
        (text, "threads: expected a valid integer"),
    ],
)
def test_a_table_that_says_nonsense_is_refused(spoil, message, made_up, file):
    values = made_up.model_dump(mode="json")
    spoil(values)
    file.write_text(json.dumps({**values, "sha256": digest(values)}))
    with pytest.raises(DataError, match=message):
        read(file)


@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"9" * 5000]
)
def test_what_is_no_json_is_refused(content, file):
    file.write_bytes(content)
    with pytest.raises(
        DataError, match=r"is no latency table: it (is no (JSON|UTF-8 text)|has no checksum)"
    ):
        read(file)


@pytest.mark.parametrize("name", ["x" * 300, "~nobody-of-this-name/a.json", "a/b"])
def test_a_table_that_is_not_there_is_named(name):
    with pytest.raises(ConfigurationError, match=r"cannot be read: .*Make it anew"):
        read(Path(name))


def test_nothing_is_timed_where_nothing_could_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(building, "build", None)
    words = ["build", "--space", "toy", "--data", "toy", "--out", str(tmp_path)]
    done = CliRunner().invoke(latency, words)
    assert isinstance(done.exception, ConfigurationError)
    assert "is a folder. Name a file to write with --out" in str(done.exception)


# ---------------------------------------------------------------- the evaluator


class TestLatency(EvaluatorContract):
    evaluator, updater = Latency, Even

    @pytest.fixture(autouse=True)
    def table(self, file, monkeypatch):
        monkeypatch.setattr(type(self), "options", {"table": str(file)})


def test_a_table_of_rectangles_is_timed_kept_and_known_again(monkeypatch, tmp_path):
    seen, task = [], Task(3, 5, (8, 12))

    class Diagnostics(Stopwatch):
        def __init__(self, network, images, repeats, clock):
            seen.append(tuple(images.shape))
            super().__init__(network, images, repeats, clock)

    monkeypatch.setattr(building, "Stopwatch", Diagnostics)
    build(ToySpace(), task, CPU, Effort(batch=2, repeats=1, samples=1)).store(tmp_path / "a.json")
    assert seen == [(2, 5, 8, 12)]
    assert json.loads((tmp_path / "a.json").read_text())["task"]["size"] == [8, 12]
    table = Latency(setting(task=task), Latency.Options(table=tmp_path / "a.json")).table
    assert table.task.task == task
    said = CliRunner().invoke(latency, ["info", str(tmp_path / "a.json")]).output
    assert "a batch of 2 x 5 x 8 x 12, threads" in said
    with pytest.raises(ConfigurationError, match=r"of 5 x 8 x 12, the run has .* of 5 x 12 x 8"):
        wrong = setting(task=Task(3, 5, (12, 8)))
        Latency(wrong, Latency.Options(table=tmp_path / "a.json"))


def test_it_foretells_the_sum(file):
    evaluator = Latency(setting(), Latency.Options(table=file))
    for text in ("conv,skip,pool,skip,conv", "skip,skip,skip,skip,skip"):
        architecture = ToySpace().from_text(text)
        found = evaluator.evaluate(architecture, None)
        assert found.metrics == {"latency": pytest.approx(seconds_of(architecture))}
    (note,) = found.notes
    assert "a batch of 1 image on" in note and "wrong by 0.0 % on average" in note


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": Task(3, 1, 8)},
         r"for 3 classes and images of 3 x 8 x 8, the run has 3 classes and images of 1 x 8 x 8"),
        ({"task": Task(3, 3, (8, 12))}, r"images of 3 x 8 x 8, the run has 3 classes and images of "
         r"3 x 8 x 12. Build one for its data"),
        ({"space": ToySpace(ToySpace.Options(channels=5))},
         r"timed other networks: its reference has [\d,]+ parameters, in this run it has [\d,]+ "
         r"\(channels=4, here 5\)"),
    ],
)  # fmt: skip
def test_a_table_of_other_networks_is_refused(changes, message, file):
    with pytest.raises(ConfigurationError, match=message):
        Latency(setting(**changes), Latency.Options(table=file))


def test_a_table_of_another_space_is_refused(file):
    from nastk_spaces_nasbench201.space import NasBench201Space

    with pytest.raises(ConfigurationError, match=r"is of space 'toy', the run searches 'nasbench|"):
        Latency(setting(NasBench201Space()), Latency.Options(table=file))


def test_a_table_must_be_named_and_be_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nastk latency build --space toy --out FILE"):
        Latency(setting())
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file"):
        Latency(setting(), Latency.Options(table=tmp_path / "no.json"))


def test_a_latency_can_be_limited(file):
    space = ToySpace()
    evaluator = Latency(setting(), Latency.Options(table=file))
    limit = LimitOptions(**read_limit(f"latency=8.1ms:table={file}"))
    assert (limit.evaluator, limit.at_most) == ("latency", 0.0081)
    found = ConstrainedSpace(space, [(limit, evaluator)])
    assert found.limits[0].sum.exact
    scores = torch.zeros(5, 4)
    scores[:, 2], scores[:, 3] = 1.0, 0.9
    architecture = found.decide(scores, space.full())
    # 5 ms are left: three pools in the first cells take 3, one convolution in the last 2.
    assert seconds_of(architecture) == pytest.approx(0.008)
    assert float(scores[torch.tensor(architecture.table())].sum()) == pytest.approx(3.7)


# ---------------------------------------------------------------- commands


def test_build_and_info(tmp_path):
    path = tmp_path / "new" / "toy.json"
    words = ["build", "--space", "toy", "-s", "channels=2", "--data", "toy", "-d", "images=8",
             "--out", str(path), "--device", "cpu", "--threads", "1", "--repeats", "1",
             "--samples", "1"]  # fmt: skip
    ran = CliRunner().invoke(latency, words)
    assert ran.exit_code == 0, ran.output
    assert "10 other networks timed whole: correlation" in ran.output
    table = read(path)
    assert table.space_options == {"channels": 2}
    told = CliRunner().invoke(latency, ["info", str(path), "--json"])
    assert LatencyTable(**{key: value for key, value in json.loads(told.output).items()
                           if key != "path"}) == table  # fmt: skip


def test_what_the_plugin_offers():
    (offer,) = nastk_latency.evaluators()
    assert (offer.name, offer.summary) == (Latency.name, Latency.summary)
    assert offer.load == f"{Latency.__module__}:{Latency.__name__}"
    assert Path(nastk_latency.__file__).name == "__init__.py"
