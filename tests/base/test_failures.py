"""Whatever a plugin's own code raises, wherever it is called, ends in one message that names it."""

import sys

import pytest
import torch
from core_kit import WISHES, Still

import nastk
from nastk import (
    Continuation,
    DivergenceError,
    Evaluator,
    Mixture,
    NastkError,
    Offer,
    PhaseCost,
    PluginError,
    assemble,
    catalogue,
    resolve,
)
from nastk.base.failures import blamed, culprit, out_of_memory
from nastk.base.plugins import Installed
from nastk.runs.budget import Budget
from nastk.runs.folder import RunFolder
from nastk.runs.preflight import rehearse
from nastk.testing import ToyData, ToySpace

BASES = {"space": ToySpace, "updater": Still, "evaluator": Evaluator, "data": ToyData}


def boom(*args, **kwargs):
    raise ValueError("boom")


def leave(*args, **kwargs):
    sys.exit(7)


@pytest.fixture
def installed_with(monkeypatch):
    """Installs a component that has these methods instead; answers what asks for it."""

    def install(kind, **methods):
        said = {"name": "bad", "summary": "bad", "__module__": __name__}
        made = type("Bad", (BASES[kind],), {**said, **methods})
        one = Installed(kind, Offer("bad", "bad", ""), "this test", "0", made)
        monkeypatch.setitem(catalogue().installed[kind], "bad", [one])
        key, value = ("evaluators", ["bad"]) if kind == "evaluator" else (kind, "bad")
        return {**WISHES, "updater": "darts", key: value}

    return install


@pytest.fixture
def searched_with(installed_with, tmp_path):
    """A search with a component of its own that has these methods instead."""

    def search(kind, **methods):
        return nastk.search(**installed_with(kind, **methods), out=tmp_path / "run")

    return search


@pytest.mark.parametrize(
    ("kind", "methods", "message"),
    [
        (
            "updater",
            {"setup": boom},
            r"^Updater 'bad' \(this test 0\) failed while it was made and shown the plan: V",
        ),
        (
            "updater",
            {"incompatibility": boom},
            r"Updater 'bad'.* failed while it was made and shown",
        ),
        ("updater", {"setup": leave}, r"it asked Python to exit \(SystemExit: 7\)"),
        (
            "updater",
            {"before_step": boom},
            r"^Updater 'bad'.* on space 'toy' failed: ValueError: boom",
        ),
        (
            "updater",
            {"before_step": leave},
            r"'.* on space 'toy' failed: it asked Python to exit",
        ),
        (
            "updater",
            {"state_dict": boom},
            r"'.* failed while its state was stored: ValueError: boom. Set .* is kept",
        ),
        ("updater", {"state_dict": lambda self: {"x": torch.eye(3).to_sparse()}}, "state was stor"),
        ("updater", {"state_dict": lambda self: {"x": 10**5000}}, "its state was stored: ValueErr"),
        ("updater", {"state_dict": lambda self: {"x": object()}}, "holds a object, which a checkp"),
        (
            "updater",
            {"architecture": boom},
            r"'.* on space 'toy' failed: ValueError: boom",
        ),
        (
            "updater",
            {"mixtures": lambda self, probe: (each for each in [Mixture.uniform(probe.subspace)])},
            "bad answered its mixtures as <generator .*; it must answer a list of them",
        ),
        (
            "space",
            {"supernet": boom},
            r"Space 'bad'.* with these options cannot take images of 3 x 8",
        ),
        (
            "space",
            {"supernet": leave},
            r"Space 'bad'.* failed while making a supernet: it asked",
        ),
        (
            "space",
            {"__init__": boom},
            r"^Space 'bad'.* failed while it was made with these",
        ),
        (
            "data",
            {"splits": boom},
            r"Data source 'bad'.* failed while opening the images: ValueError",
        ),
        (
            "data",
            {"__init__": leave},
            r"Data source 'bad'.* failed while it was made",
        ),
        (
            "evaluator",
            {"__init__": boom},
            r"Evaluator 'bad'.* failed while it was made with these",
        ),
        (
            "evaluator",
            {"evaluate": boom},
            r"Evaluator 'bad'.* failed: ValueError: boom. The search",
        ),
        (
            "evaluator",
            {"evaluate": leave},
            r"Evaluator 'bad'.* failed: it asked Python to exit",
        ),
        (
            "space",
            {"decide": boom},
            r"Space 'bad' \(this test 0\), asked for updater 'darts' \(nastk",
        ),
        (
            "space",
            {"network": boom},
            r"Space 'bad' \(this test 0\), asked for evaluator 'size' \(na",
        ),
        ("space", {"to_text": boom}, r"Space 'bad' \(this test 0\), asked for updater 'darts'"),
    ],
)
def test_a_plugin_that_raises_is_named_in_one_message(kind, methods, message, searched_with):
    methods = {"evaluate": boom, **methods} if kind == "evaluator" else methods
    with pytest.raises(NastkError, match=message) as error:
        searched_with(kind, **methods)
    assert "\n" not in str(error.value)


def starve(*args, **kwargs):
    raise MemoryError


RESUMED = r"The checkpoint .* does not fit .*: Updater 'bad' \(this test 0\) said "


@pytest.mark.parametrize("finish", [False, True], ids=["resume", "finish"])
@pytest.mark.parametrize(
    ("load", "message"),
    [
        (boom, f"{RESUMED}ValueError: boom. Go on with what it was written by"),
        (leave, rf"{RESUMED}it asked Python to exit \(SystemExit: 7\)\."),
        (starve, "^Not enough memory: The checkpoint .* got none while it was loaded"),
    ],
)
def test_a_state_that_an_updater_refuses_is_one_message_and_is_kept(
    load, message, finish, installed_with, tmp_path
):
    run = tmp_path / "run"
    for event in nastk.stream(installed_with("updater"), out=run):
        if event.kind == "step-done":
            break
    installed_with("updater", load_state_dict=load)
    with pytest.raises(NastkError, match=message) as error:
        nastk.resume(run, finish=finish)
    assert error.value.exit_code == 1 and "\n" not in str(error.value)
    installed_with("updater")
    assert nastk.resume(run, finish=finish).architecture


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("updater", "before_step"),
        ("updater", "max_cost"),
        ("updater", "state_dict"),
        ("updater", "load_state_dict"),
        ("updater", "after_epoch"),
        ("space", "decide"),
        ("evaluator", "max_cost"),
    ],
)
@pytest.mark.parametrize("raised", [boom, leave])
def test_a_dry_run_names_a_plugin_that_raises(kind, method, raised, installed_with):
    answers = {"evaluate": lambda self, architecture, probe: None} if kind == "evaluator" else {}
    assembly = assemble(resolve(installed_with(kind, **answers, **{method: raised})))
    with pytest.raises(
        PluginError, match=rf"^{kind.title()} 'bad' \(this test 0\) failed while the run was reh"
    ):
        rehearse(assembly, memory=True)


@pytest.mark.parametrize("method", ["mixtures", "max_cost"])
def test_a_budget_names_a_plugin_that_raises(method, installed_with):
    nothing = {"max_cost": lambda self, plan: PhaseCost()}
    assembly = assemble(resolve(installed_with("updater", **{**nothing, method: boom})))
    message = r"^Updater 'bad' \(this test 0\) failed while its budget was counted: ValueError: b"
    for ask in (Budget("images", 1e4).epochs, Budget("images", 1e4).allows):
        with pytest.raises(PluginError, match=message):
            ask(assembly)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            MemoryError(),
            r"Not enough memory: Space 'x' got none while growing \(MemoryError\)\. Us",
        ),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
            "Not enough memory: Space 'x' got none while growing",
        ),
        (RuntimeError("Storage size calculation overflowed with sizes=[9]"), "Not enough memory"),
        (RecursionError("deep"), "Space 'x' failed while growing: RecursionError: deep. Set"),
        (ValueError("one\n  two"), "ValueError: one two. Set"),
    ],
)
def test_memory_is_nobodys_mistake(error, message):
    with pytest.raises(NastkError, match=message) as told, blamed("Space 'x'", "growing"):
        raise error
    assert told.value.__cause__ is error


def test_memory_that_runs_out_in_the_rehearsal_is_said_as_such(searched_with):
    def supernet(self, task):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    with pytest.raises(
        NastkError, match=r"^Not enough memory: Space 'bad'.* got none while making"
    ):
        searched_with("space", supernet=supernet)


@pytest.mark.parametrize("error", [KeyboardInterrupt, nastk.DataError])
def test_interrupts_and_errors_of_nastk_pass_as_they_are(error):
    with pytest.raises(error, match="as it is"), blamed("Space 'x'", "growing"):
        raise error("as it is")


@pytest.mark.parametrize(
    "before_step",
    [
        lambda self, probe, batch: torch.set_default_dtype(torch.float64),
        lambda self, probe, batch: torch._C._set_grad_enabled(False),
    ],
)
def test_what_an_updater_leaves_changed_is_not_the_callers(before_step, searched_with):
    with pytest.raises(PluginError):
        searched_with("updater", before_step=before_step, after_epoch=boom)
    assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (torch.float32, True)


def test_a_search_does_not_depend_on_what_the_caller_switched_off(searched_with):
    with torch.no_grad():
        assert searched_with("updater").architecture
        assert not torch.is_grad_enabled()


def test_weights_that_explode_are_to_blame_before_the_method(searched_with):
    def after_step(self, probe):
        with torch.no_grad():
            probe._branch.supernet.head.weight.fill_(torch.nan)
        raise ValueError("no such distribution")

    message = r"training diverges\. Lower .* \(Updater 'bad'.* said: ValueError: no such distri"
    with pytest.raises(DivergenceError, match=message):
        searched_with("updater", after_step=after_step)


def test_what_ended_a_run_is_kept_in_its_folder(searched_with, tmp_path):
    with pytest.raises(PluginError) as error:
        searched_with("updater", after_epoch=lambda self, probe: [Continuation(None)])
    assert RunFolder.open(tmp_path / "run").error() == str(error.value)


def test_who_raised_is_the_component_whose_code_was_called_last():
    def raising(module):
        scope = {"__name__": module}
        exec("def call(then=None):\n    return 1 / 0 if then is None else then()", scope)
        return scope["call"]

    space, helper, updater = map(raising, ["acme.space", "acme.maths", "coin.updater"])
    modules = {"acme.space": "the space", "coin.updater": "the updater"}
    for calls, who in [
        (lambda: updater(space), "the space"),
        (lambda: space(updater), "the updater"),
        (lambda: updater(helper), "the space"),
        (lambda: updater(lambda: space(updater)), "the updater"),
        (lambda: 1 / 0, None),
    ]:
        with pytest.raises(ZeroDivisionError) as error:
            calls()
        assert culprit(error.value, modules) == who


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("allocate memory"), False),
    ],
)
def test_running_out_of_memory_is_told_from_other_failures(error, expected):
    assert out_of_memory(error) is expected
