"""Any network with choice layers is a search space: `Choice`, `ModularSpace`, `space_of`."""

import copy
import re
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from core_kit import ShortContract
from own_space import Mine
from pydantic import Field
from torch import nn
from torch.utils.checkpoint import checkpoint

import nastk
from nastk import (
    Choice,
    ConfigurationError,
    DataError,
    Mixture,
    ModularSpace,
    PluginError,
    Task,
    catalogue,
)
from nastk.spaces.modular.choice import use_terms
from nastk.testing import Harness, SearchSpaceContract, ToyData, fingerprint

TASK = Task(3, 3, 8)


def conv(channels=4, size=3, stride=1):
    return nn.Conv2d(channels, channels, size, stride=stride, padding=size // 2)


class Small(nn.Module):
    """Ragged: three operations, two, and a decision that two cells share.

    The rest of the docstring.
    """

    def __init__(self, task, channels=4):
        super().__init__()
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.body = nn.Sequential(
            Choice(conv3=lambda: conv(channels), conv5=conv(channels, 5), skip=nn.Identity),
            nn.BatchNorm2d(channels),
            Choice({"a:1": nn.AvgPool2d(3, 1, 1), "b:1": nn.ReLU(inplace=True)}, name="pool"),
        )
        self.cells = nn.ModuleList(
            Choice(name="cell", conv=conv(channels), skip=nn.Identity()) for _ in range(2)
        )
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images):
        features = self.body(self.stem(images))
        for cell in self.cells:
            features = features + cell(features)
        return self.head(features.mean((2, 3)))


SMALL = nastk.space_of(Small)


class WithOptions(ModularSpace):
    """As a plugin writes it."""

    name, summary = "with-options", "the same, with its channels as an option"

    class Options(nastk.Options):
        """Options."""

        channels: int = Field(4, ge=1, description="channels of every feature map")

    def build(self, task):
        return Small(task, self.options.channels)


class TwoLines(ModularSpace):
    """As short as it gets."""

    name, summary = "two-lines", "the network's class is the builder"
    build = Small


def net(*choices, forward=None, **attributes):
    """A space of a network that calls `choices` one after the other, or as `forward` says."""

    class Net(nn.Module):
        def __init__(self, task):
            super().__init__()
            self.stem = nn.Conv2d(task.channels, 4, 3, padding=1)
            self.choices = nn.ModuleList(make() for make in choices)
            for name, make in attributes.items():
                setattr(self, name, make())
            self.head = nn.Linear(4, task.classes)

        def forward(self, images):
            features = self.stem(images)
            for choice in self.choices:
                features = choice(features)
            if forward:
                features = forward(self, features)
            return self.head(features.mean((2, 3)))

    return nastk.space_of(Net, name="net")


def two(**operations):
    return lambda: Choice(**operations)


def images(count=4):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))


# ---------------------------------------------------------------- contracts


class TestSmall(SearchSpaceContract):
    space, task = SMALL, TASK


class TestMine(SearchSpaceContract):
    space, task = nastk.space_of(Mine), TASK


class TestWithOptions(SearchSpaceContract):
    space, options, task = WithOptions, {"channels": 2}, TASK


class TestTwoLines(SearchSpaceContract):
    space, task = TwoLines, TASK


@pytest.mark.slow
class TestDartsOnASpaceOfOnesOwn(ShortContract):
    updater = catalogue().load("updater", "darts")
    space = SMALL


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("name", catalogue().names("updater"))
def test_every_installed_updater_searches_it_and_resumes(name):
    updater = catalogue().load("updater", name)
    options = {
        key: value
        for preset in updater.presets
        if preset.name == "quick" and preset.fits("small", "toy")
        for key, value in preset.updater_options.items()
    }
    harness = Harness(updater, options, SMALL(), ToyData(), {"epochs": 3})
    straight = harness.run()
    for branch in straight:
        found = branch.updater.architecture(harness.trainer.probe(branch))
        assert harness.space.check(found) == found
    again = Harness(updater, options, SMALL(), ToyData(), {"epochs": 3})
    resumed = again.run(again.resumed(again.run(steps=4)))
    assert fingerprint([branch.state_dict() for branch in resumed]) == fingerprint(
        [branch.state_dict() for branch in straight]
    )


# ---------------------------------------------------------------- edges


def test_each_distinct_choice_is_an_edge_named_by_its_name_or_place():
    edges = SMALL().edges
    assert [(edge.name, edge.operations) for edge in edges] == [
        ("body.0", ("conv3", "conv5", "skip")),
        ("pool", ("a:1", "b:1")),
        ("cell", ("conv", "skip")),
    ]
    assert [(edge.group, edge.tail, edge.head) for edge in edges] == [
        ("layers", number, number + 1) for number in range(3)
    ]


def test_a_decision_that_cells_share_has_a_module_in_each():
    supernet = SMALL().supernet(TASK)
    named = [(edge, column) for edge, column, _ in supernet.operations()]
    assert named == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), *[(2, 0), (2, 1)] * 2]


def test_the_caller_s_random_stream_is_not_used_to_look_at_the_edges():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    SMALL()
    assert torch.equal(torch.rand(3), expected)


def test_name_and_summary_come_from_the_class_or_are_given():
    assert (SMALL.name, SMALL.summary) == (
        "small",
        "Ragged: three operations, two, and a decision that two cells share",
    )
    assert nastk.space_of(Small, name="mine", summary="mine").summary == "mine"
    made = nastk.space_of(lambda task: Small(task), name="mine")
    assert (made.name, made.summary) == ("mine", "the choices of mine")
    with pytest.raises(ConfigurationError, match=r"A space needs a name.*name=\"mine\""):
        nastk.space_of(lambda task: Small(task))


# ---------------------------------------------------------------- what a mixture computes


def test_a_supernet_is_the_sum_of_its_active_operations_with_their_weights():
    space = SMALL()
    supernet = space.supernet(TASK).double()
    weights = torch.rand(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mixture = Mixture(weights, space.full().drop(0, 1).mask)
    network, x = supernet.network, images().double()

    def mixed(choice, row, value, columns):
        return sum(weights[row, column] * choice.operations[column](value) for column in columns)

    first, norm, pool = network.body
    state = mixed(pool, 1, norm(mixed(first, 0, network.stem(x), [0, 2])), [0, 1])
    for cell in network.cells:
        state = state + mixed(cell, 2, state, [0, 1])
    expected = network.head(state.mean((2, 3)))
    torch.testing.assert_close(supernet(x, mixture), expected, rtol=1e-12, atol=1e-12)


def test_what_is_inactive_is_not_computed():
    space = SMALL()
    supernet = space.supernet(TASK)
    called = []
    for edge, column, module in supernet.operations():
        module.register_forward_hook(lambda *_, player=(edge, column): called.append(player))
    supernet(images(), Mixture.of(space.from_text("body.0=skip pool=a:1 cell=conv")))
    assert called == [(0, 2), (1, 0), (2, 0), (2, 0)]


@pytest.mark.parametrize("stride", [1, 2])
def test_an_edge_with_nothing_active_adds_zeros_of_the_right_shape(stride):
    space = net(two(a=conv(stride=stride), b=conv(size=5, stride=stride)))()
    supernet = space.supernet(TASK)
    none = torch.zeros(1, 2, dtype=torch.bool)
    seen = []
    supernet.network.choices[0].register_forward_hook(lambda *told: seen.append(told[-1]))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    for _ in range(2):
        logits = supernet(images(), Mixture(torch.ones(1, 2), none))
        assert torch.equal(logits, supernet.network.head.bias.expand(4, 3))
    assert seen[0].shape == (4, 4, 8 // stride, 8 // stride) and not seen[0].any()
    assert torch.equal(torch.get_rng_state(), before)


def test_gradient_of_the_mixture_is_that_of_finite_differences():
    space = SMALL()
    supernet = space.supernet(TASK).double()
    x, mask = images().double(), space.full().mask
    weights = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w: supernet(x, Mixture(w * mask, mask)).square(), weights
    )


def test_functional_call_uses_the_given_weights_and_leaves_its_own():
    space = SMALL()
    supernet = space.supernet(TASK)
    other = {name: value.detach() + 0.1 for name, value in supernet.named_parameters()}
    before, mixture = fingerprint(supernet.state_dict()), Mixture.uniform(space.full())
    answer = torch.func.functional_call(supernet, other, (images(), mixture))
    assert fingerprint(supernet.state_dict()) == before
    supernet.load_state_dict(other)
    assert torch.equal(answer, supernet(images(), mixture))


def test_a_copy_and_another_thread_know_nothing_of_each_other():
    space = SMALL()
    supernet = space.supernet(TASK)
    twin = copy.deepcopy(supernet)
    paths = [
        Mixture.of(space.from_text(f"body.0={name} pool=b:1 cell=skip"))
        for name in ("conv3", "skip")
    ]
    expected = [supernet(images(), path) for path in paths]
    found = {}
    started = threading.Barrier(2)

    def work(number, network):
        started.wait()
        found[number] = [network(images(), paths[number]) for _ in range(20)]

    threads = [
        threading.Thread(target=work, args=(number, network))
        for number, network in enumerate((supernet, supernet))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, answers in found.items():
        assert all(torch.equal(answer, expected[number]) for answer in answers)
    with torch.no_grad():
        twin.network.stem.weight.zero_()
    assert torch.equal(supernet(images(), paths[0]), expected[0])


def test_an_error_in_a_forward_pass_leaves_nothing_told():
    supernet = SMALL().supernet(TASK)
    with pytest.raises(RuntimeError):
        supernet(torch.zeros(2, 5, 8, 8), Mixture.uniform(SMALL().full()))
    with pytest.raises(ConfigurationError, match="outside of a supernet"):
        supernet.network(images())


def test_half_precision_mixes_operations_of_several_types():
    space = SMALL()
    supernet = space.supernet(TASK)
    mixture = Mixture.uniform(space.full())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        answer = supernet(images(), mixture)
    torch.testing.assert_close(answer.float(), supernet(images(), mixture), atol=0.05, rtol=0.05)


def test_a_choice_takes_several_inputs_and_may_be_called_twice():
    class Sum(nn.Module):
        def forward(self, one, other):
            return one + other

    class Difference(nn.Module):
        def forward(self, one, other):
            return one - other

    space = net(
        forward=lambda self, x: self.join(self.join(x, x), x),
        join=lambda: Choice(sum=Sum, difference=Difference),
    )()
    supernet = space.supernet(TASK)
    x = images()
    stem = supernet.network.stem(x)
    found = supernet(x, Mixture.of(space.from_text("join=sum")))
    torch.testing.assert_close(found, supernet.network.head((3 * stem).mean((2, 3))))
    assert torch.equal(
        supernet(x, Mixture.of(space.from_text("join=difference"))),
        supernet.network.head((0 * stem - stem).mean((2, 3))),
    )


# ---------------------------------------------------------------- what a supernet takes away


def test_norms_of_the_supernet_use_the_batch_and_those_of_the_network_are_as_written():
    space = SMALL()
    supernet = space.supernet(TASK)
    assert not dict(supernet.named_buffers())
    mixture = Mixture.uniform(space.full())
    trained = supernet(images(), mixture)
    assert torch.equal(supernet.eval()(images(), mixture), trained)
    network = space.network(space.sample(space.full(), torch.Generator()), TASK)
    assert {name for name, _ in network.named_buffers()} == {
        f"body.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }


def test_operations_do_not_overwrite_the_input_they_share():
    def supernet(inplace):
        return net(two(relu=lambda: nn.ReLU(inplace=inplace), skip=nn.Identity))().supernet(TASK)

    plain, overwriting = supernet(False), supernet(True)
    overwriting.load_state_dict(plain.state_dict())
    mixture = Mixture(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool))
    assert torch.equal(overwriting(images(), mixture), plain(images(), mixture))


def test_frozen_weights_are_no_parameters_of_the_supernet():
    def frozen():
        return conv().requires_grad_(False)

    space = net(two(a=conv(), b=conv()), forward=lambda self, x: self.fixed(x), fixed=frozen)()
    supernet = space.supernet(TASK)
    assert {name for name, _ in supernet.named_buffers()} == {
        "network.fixed.weight",
        "network.fixed.bias",
    }
    assert all(weight.requires_grad for weight in supernet.parameters())
    harness = Harness(catalogue().load("updater", "darts"), {"order": 2}, space)
    (branch,) = harness.run(steps=1)
    assert torch.equal(
        branch.supernet.network.fixed.weight, harness.trainer.root().supernet.network.fixed.weight
    )


class Remembering(nn.Module):
    """Keeps a running mean of its input, as some layers of researchers do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x):
        self.mean.lerp_(x.mean().detach(), 0.1)
        return x - self.mean


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.tensor(2.0))

    def forward(self, x):
        return x * self.scale


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (Remembering, r"changes the buffer choices\.0\.operations\.1\.mean.*take the layer"),
        (lambda: nn.LazyConv2d(4, 1), r"weight choices\.0\.operations\.1\.\w+ has no size before"),
    ],
)
def test_a_network_that_remembers_images_or_waits_for_them_is_refused(operation, message):
    space = net(two(skip=nn.Identity, odd=operation))()
    with pytest.raises(ConfigurationError, match=message):
        space.supernet(TASK)


def test_a_buffer_that_stays_is_accepted_and_draws_no_weights():
    torch.manual_seed(1)
    plain = net(two(a=conv, b=nn.Identity))().supernet(TASK)
    after_plain = torch.rand(())
    torch.manual_seed(1)
    checked = net(two(a=conv, b=Constant))().supernet(TASK)
    assert torch.equal(plain.network.stem.weight, checked.network.stem.weight)
    assert torch.equal(torch.rand(()), after_plain)


# ---------------------------------------------------------------- stand-alone networks


def test_the_network_has_what_was_chosen_in_the_place_of_every_choice():
    space = SMALL()
    network = space.network(space.from_text("body.0=conv5 pool=a:1 cell=skip"), TASK)
    assert not [module for module in network.modules() if isinstance(module, Choice)]
    assert network.body[0].kernel_size == (5, 5)
    assert isinstance(network.body[2], nn.AvgPool2d)
    assert [type(cell) for cell in network.cells] == [nn.Identity, nn.Identity]
    assert set(network.state_dict()) >= {"body.0.weight", "body.0.bias", "stem.weight"}


def test_a_network_with_the_weights_of_a_path_answers_the_same():
    space = SMALL()
    supernet = space.supernet(TASK)
    architecture = space.from_text("body.0=conv3 pool=b:1 cell=conv")
    path = supernet(images(), Mixture.of(architecture))
    network = space.network(architecture, TASK)
    chosen = dict(zip([edge.name for edge in space.edges], (0, 1, 0), strict=True))
    weights = {}
    for name, value in supernet.network.state_dict().items():
        place, inside, rest = name.partition(".operations.")
        if not inside:
            weights[name] = value
            continue
        column, _, last = rest.partition(".")
        decision = {"body.2": "pool"}.get(place, "cell" if "cells" in place else place)
        if int(column) == chosen[decision]:
            weights[f"{place}.{last}"] = value
    missing = network.load_state_dict(weights, strict=False).missing_keys
    assert all("running" in name or "batches" in name for name in missing)
    torch.testing.assert_close(network(images()), path)


def test_a_layer_held_in_two_places_is_replaced_in_both():
    space = net(two(a=conv, b=nn.Identity), forward=lambda self, x: x)

    class Twice(nn.Module):
        def __init__(self, task):
            super().__init__()
            self.one = self.other = Choice(a=lambda: nn.Conv2d(3, 3, 1), b=nn.Identity)

        def forward(self, x):
            return self.other(self.one(x)).mean((2, 3))

    space = nastk.space_of(Twice)()
    assert len(space.edges) == 1
    network = space.network(space.from_text("one=a"), TASK)
    assert network.one is network.other and isinstance(network.one, nn.Conv2d)


def test_a_constructor_that_computes_is_sized_too():
    class Computing(Small):
        def __init__(self, task):
            super().__init__(task)
            self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]

    space = nastk.space_of(Computing)()
    architecture = space.sample(space.full(), torch.Generator())
    with torch.device("meta"):
        network = space.network(architecture, TASK)
    assert {value.device.type for value in network.parameters()} == {"meta"}


# ---------------------------------------------------------------- decisions and text


def test_the_best_living_operation_wins_and_ties_go_to_the_first():
    space = SMALL()
    scores = torch.tensor([[0.0, 2.0, 1.0], [3.0, 3.0, 9.0], [-1.0, -2.0, 9.0]])
    assert space.to_text(space.decide(scores, space.full())) == "body.0=conv5 pool=a:1 cell=conv"
    smaller = space.full().drop(0, 1).drop(1, 0)
    assert space.to_text(space.decide(scores, smaller)) == "body.0=skip pool=b:1 cell=conv"
    with pytest.raises(PluginError, match="edge pool has no operation left"):
        space.decide(scores, smaller.drop(1, 1))


def test_samples_are_uniform():
    space, rng = SMALL(), torch.Generator().manual_seed(0)
    found = [space.to_text(space.sample(space.full(), rng)) for _ in range(1200)]
    counts = [found.count(text) for text in set(found)]
    assert len(counts) == 12 and min(counts) > 60 and max(counts) < 140


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv3", r"Expected choice=operation, such as body\.0=conv3 pool=a:1; got 'conv3'"),
        ("", r"Nothing is said of body\.0, pool, cell\. Expected"),
        ("body.0=skip cell=conv", "Nothing is said of pool"),
        ("body.0=skip body.0=skip", r"Choice 'body\.0' is there twice"),
        ("bodi.0=skip", r"no choice 'bodi\.0'\. Did you mean 'body\.0'\? It has: body\.0, pool"),
        ("body.0=conv2", r"no operation 'conv2'\. Did you mean 'conv\d'\? It has: conv3, conv5"),
    ],
)
def test_a_text_that_is_no_architecture_says_where(text, message):
    with pytest.raises(DataError, match=message):
        SMALL().from_text(text)


def test_choices_may_come_in_any_order_and_need_exactly_one_operation():
    space = SMALL()
    architecture = space.from_text("cell=conv  pool=b:1\nbody.0=skip")
    assert space.to_text(architecture) == "body.0=skip pool=b:1 cell=conv"
    for chosen, said in (((), "got 0"), (("conv", "skip"), "got 2: conv, skip")):
        odd = space.architecture([("skip",), ("b:1",), chosen])
        for refuses in (space.to_text, space.check, lambda odd: space.network(odd, TASK)):
            with pytest.raises(DataError, match=f"Edge 'cell' must have one operation .*{said}"):
                refuses(odd)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Choice(), r"Choice of nothing has 0 operation\(s\).*two or more"),
        (lambda: Choice(conv=conv, name="x"), r"Choice x has 1 operation\(s\)"),
        (
            lambda: Choice(a=conv, b=nn.Sequential(Choice(c=conv, d=conv))),
            r"Operation 'b' of choice of a, b holds a choice itself \(c, d\)",
        ),
        (lambda: Choice(a=conv, b=lambda: 3), "'b' of choice of a, b must be a module.*got 3"),
        (lambda: Choice({"a b": conv, "c": conv}), "'a b' cannot be a name.*Leave out spaces"),
        (lambda: Choice(a=conv, b=conv, name="x=y"), "'x=y' cannot be a name"),
    ],
)
def test_a_choice_that_decides_nothing_or_cannot_be_written_is_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (net(), "The network of space 'net' has no layer to decide. Mark layers with nastk.Choice"),
        (
            net(lambda: Choice(a=conv, b=conv, name="x"), lambda: Choice(b=conv, a=conv, name="x")),
            r"named 'x' are one decision.*choices\.0 has a, b; choices\.1 has b, a\. Give them dif",
        ),
        (
            net(two(a=conv, b=conv), lambda: Choice(a=conv, b=conv, name="choices.0")),
            r"One choice has the name 'choices\.0', and another.*has the place 'choices\.0'",
        ),
        (nastk.space_of(lambda task: 3, name="three"), "must answer a torch.nn.Module, got 3"),
    ],
)
def test_a_network_whose_choices_make_no_space_is_refused(space, message):
    with pytest.raises(ConfigurationError, match=message):
        space()


def test_choices_that_depend_on_the_images_are_refused():
    class Growing(Small):
        def __init__(self, task):
            super().__init__(task)
            self.more = nn.ModuleList(two(a=conv, b=conv)() for _ in range(task.size // 16))

    with pytest.raises(ConfigurationError, match=r"depend on the images: body\.0 \(conv3.*more\.1"):
        nastk.space_of(Growing)().supernet(TASK)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            net(two(a=conv(), b=conv(stride=2), c=nn.Identity())),
            r"operations of choice 'choices\.0' must answer one shape, got a: 2 x 4 x 8 x 8; "
            r"b: 2 x 4 x 4 x 4; c: 2 x 4 x 8 x 8 for an input of 2 x 4 x 8 x 8",
        ),
        (
            net(two(a=conv(), b=conv(5))),
            r"cannot take images of 3 x 8 x 8: operation 'b' of choice 'choices\.0' fails on an "
            r"input of 2 x 4 x 8 x 8: .*expected input",
        ),
        (
            net(two(a=nn.Identity, b=lambda: nn.MaxPool2d(3, 1, 1, return_indices=True))),
            r"'b' of choice 'choices\.0' must answer one tensor, got tuple",
        ),
    ],
)
def test_operations_that_do_not_fit_are_named_before_a_run_starts(space, message, workplace, own):
    own(space)
    with pytest.raises(ConfigurationError, match=message):
        nastk.search("net", "random", "toy", epochs=1)
    assert not (workplace / "runs").exists()


class Overwriting(nn.Module):
    def forward(self, x):
        return F.relu_(x)


def test_an_operation_that_overwrites_its_input_is_named():
    supernet = net(two(a=Overwriting, b=nn.Identity))().supernet(TASK)
    with (
        torch.no_grad(),
        pytest.raises(ConfigurationError, match=r"Choice 'choices\.0': a changes its input"),
    ):
        supernet(images(), Mixture(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool)))


def test_a_choice_outside_of_a_supernet_or_of_its_network_says_what_to_do():
    with pytest.raises(ConfigurationError, match=r"outside of a supernet.*space\.network"):
        Small(TASK)(images())
    stray = Choice(a=conv, b=conv)
    with (
        use_terms([]),
        pytest.raises(ConfigurationError, match=r"no submodule of its network.*ModuleList"),
    ):
        stray(images())


def test_layers_that_are_called_again_in_the_backward_pass_are_refused():
    space = net(
        two(a=conv, b=nn.Identity),
        forward=lambda self, x: checkpoint(self.last, x, use_reentrant=False),
        last=two(a=lambda: nn.Sequential(conv(), nn.ReLU()), b=nn.Identity),
    )()
    logits = space.supernet(TASK)(images(), Mixture.uniform(space.full()))
    with pytest.raises(ConfigurationError, match=r"leave it out around choices"):
        logits.sum().backward()


def test_memory_that_ran_out_stays_what_it_is():
    class Hungry(nn.Module):
        def forward(self, x):
            raise torch.OutOfMemoryError("too much")

    supernet = net(two(a=Hungry, b=nn.Identity))().supernet(TASK)
    with pytest.raises(torch.OutOfMemoryError, match=r"^too much$"):
        supernet(images(), Mixture(torch.ones(1, 2), torch.ones(1, 2, dtype=torch.bool)))


# ---------------------------------------------------------------- in a run


@pytest.fixture
def own():
    """Registers classes, and takes them out of the catalogue again."""
    taken = []

    def register(component):
        taken.append(component.name)
        return nastk.register(component)

    yield register
    for name in taken:
        catalogue().installed["space"].pop(name, None)


def test_a_registered_network_is_searched_resumed_and_built(workplace, own):
    own(WithOptions)
    space = nastk.use("with-options", channels=2)
    request = {"space": space, "updater": "random", "data": "toy", "trainer": {"epochs": 2}}
    straight = nastk.search(**request, out="straight")
    for event in nastk.stream(request, out="stopped"):
        if event.kind == "epoch-done":
            break
    resumed = nastk.resume("stopped")
    assert resumed.architecture == straight.architecture
    assert resumed.evaluation == straight.evaluation
    assert straight.network().stem.out_channels == 2
    assert straight.folder.config()["space"] == {
        "name": "with-options",
        "options": {"channels": 2},
    }


def test_the_program_of_the_docs_is_short_and_runs(workplace, own, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "own-space.md").read_text()
    program = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    assert len([line for line in program.splitlines() if line]) <= 30
    search = nastk.search

    def quick(space, updater, data, epochs):
        own(catalogue().load("space", space))  # taken out again
        return search(space, "random", "toy", epochs=1)

    monkeypatch.setattr(nastk, "search", quick)
    names = {"__name__": "program"}
    exec(program, names)
    assert re.fullmatch(r"first=\w+ second=\w+ block=\w+", names["result"].text)
    assert not [module for module in names["network"].modules() if isinstance(module, Choice)]
