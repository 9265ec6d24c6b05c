"""Texts of architectures as the field's programs print and store them, for every space."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import nastk
from nastk import DataError, Task, catalogue
from nastk_spaces_darts.space import DartsSpace
from nastk_spaces_mobilenet.configs import words
from nastk_spaces_mobilenet.layouts import LAYOUTS
from nastk_spaces_mobilenet.macro import MacroSpace
from nastk_spaces_mobilenet.skeleton import plan, scaled
from nastk_spaces_mobilenet.space import MobileNetSpace
from nastk_spaces_nasbench201.space import NasBench201Space

SEEDS = st.integers(0, 2**32 - 1)
some = settings(max_examples=8)
"""Few of each form: the forms are many, and the cells alike."""


def made(space, **options):
    return space(space.Options(**options))


def drawn(space, seed):
    return space.sample(space.full(), torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------ cells of DARTS


def cells(space, architecture):
    """The links of each cell as flat lists."""
    found = {"normal": [], "reduce": []}
    for edge, name in architecture.links():
        found[edge.group].append((name, edge.tail))
    return found


def call(normal, reduce, concat="range(2, 6)"):
    return (
        f"Genotype(normal={normal}, normal_concat={concat}, reduce={reduce}, "
        f"reduce_concat={concat})"
    )


def as_dict(normal, reduce):
    concat = [2, 3, 4, 5]
    return {
        "normal": normal,
        "normal_concat": concat,
        "reduce": reduce,
        "reduce_concat": concat,
    }


def by_node(links):
    return [tuple(links[place : place + 2]) for place in range(0, len(links), 2)]


def weighted(links):
    return [(name, source, 0.125) for name, source in links]


def tabular(found):
    """The names of NAS-Bench-301."""
    config = {"NetworkSelectorDatasetInfo:darts:layers": 20, "seed": 1}
    for group, links in found.items():
        for node, pair in enumerate(by_node(links), start=2):
            first = sum(range(2, node))
            for name, source in pair:
                config[f"NetworkSelectorDatasetInfo:darts:edge_{group}_{first + source}"] = name
            if node > 2:
                inputs = "_".join(str(source) for _, source in pair)
                config[f"NetworkSelectorDatasetInfo:darts:inputs_node_{group}_{node}"] = inputs
    return config


def numpy_numbers(links):
    inside = ", ".join(f"(np.str_('{name}'), np.int64({source}))" for name, source in links)
    return f"[{inside}]"


def tensors(links):
    weight = "tensor(0.1250, device='cuda:0', grad_fn=<SelectBackward0>)"
    inside = ", ".join(f"('{name}', {source}, {weight})" for name, source in links)
    return f"[{inside}]"


DARTS_FORMS = {
    "as DARTS prints it": lambda n, r: call(n, r),
    "a line of a log": lambda n, r: f"2024-01-01 10:00:00,000 genotype = {call(n, r)}",
    "a line of a file of cells": lambda n, r: f"FOUND = {call(n, r)};  # mine",
    "a module before the name": lambda n, r: f"genotypes.{call(n, r)}",
    "twice the same": lambda n, r: f"best: {call(n, r)}\nlast: {call(n, r)}\n",
    "quoted": lambda n, r: json.dumps(call(n, r)),
    "over lines": lambda n, r: call(n, r).replace(", ", ",\n    "),
    "list(range)": lambda n, r: call(n, r, "list(range(2, 6))"),
    "arange": lambda n, r: call(n, r, "np.arange(2, 6)"),
    "an array": lambda n, r: call(n, r, "array([2, 3, 4, 5])"),
    "a tuple": lambda n, r: call(n, r, (2, 3, 4, 5)),
    "positions": lambda n, r: f"Genotype({n}, [2, 3, 4, 5], {r}, [2, 3, 4, 5])",
    "lists of lists": lambda n, r: call([list(x) for x in n], [list(x) for x in r]),
    "weights": lambda n, r: call(weighted(n), weighted(r)),
    "tensors": lambda n, r: call(tensors(n), tensors(r)),
    "numpy's numbers": lambda n, r: call(numpy_numbers(n), numpy_numbers(r)),
    "by node, as GDAS": lambda n, r: (
        call(by_node(weighted(n)), by_node(weighted(r)))[:-1] + ", connectN=None, connects=None)"
    ),
    "a dict, as XAutoDL": lambda n, r: str(as_dict(n, r)),
    "JSON": lambda n, r: json.dumps(as_dict(n, r)),
    "NAS-Bench-301": lambda n, r: json.dumps(tabular({"normal": n, "reduce": r})),
}


@pytest.mark.parametrize("form", DARTS_FORMS)
@some
@given(seed=SEEDS)
def test_a_cell_of_darts_is_read_in_every_form(form, seed):
    space = made(DartsSpace)
    architecture = drawn(space, seed)
    found = cells(space, architecture)
    text = DARTS_FORMS[form](found["normal"], found["reduce"])
    assert space.from_text(text) == architecture


PLAIN = [("sep_conv_3x3", 0), ("skip_connect", 1), ("dil_conv_5x5", 1), ("max_pool_3x3", 2)] * 2
OTHER = [("sep_conv_5x5", 0), *PLAIN[1:]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{call(PLAIN, PLAIN)} {call(OTHER, PLAIN)}", "2 genotypes, not all the same"),
        (call(PLAIN, PLAIN)[:-1] + ", extra=3)", "'extra' is no field of a genotype"),
        (call(PLAIN, PLAIN)[:-1] + ", normal=[])", "stops being a genotype.*repeated|given twice"),
        (call(PLAIN, PLAIN)[:-20], "This stops being a genotype at line 1"),
        (call(PLAIN, PLAIN, "range(2, 10**9)"), "normal_concat.*no plain value"),
        (call(PLAIN, PLAIN, "range(2, 9, 0)"), r"normal_concat must be the nodes \[2, 3, 4, 5\]"),
        (call(PLAIN, "open('x').read()"), "reduce of the genotype is no plain value"),
        (call([(0, 3)] * 8, PLAIN), r"normal\[0\].*Programs number operations differently"),
        (call([(*one, "x") for one in PLAIN], PLAIN), "is a weight, got 'x'"),
        ("{'normal': 1}", "This dict holds no genotype; it has 'normal'. Expected Genotype"),
        ("{'normal': [", "Expected Genotype"),
        ("a cell", "holds no genotype. Expected Genotype"),
        ('{"NetworkSelectorDatasetInfo:darts:edge_normal_0": "skip_connect"}', "says nothing of"),
        ("DARTS_V3", "No published cell is named 'DARTS_V3'. Did you mean 'DARTS_V"),
        ("0123456789ab", "is an id"),
        (call("[" * 400 + "]" * 400, PLAIN), "no plain value|stops being a genotype"),
    ],
)
def test_a_text_that_is_no_cell_of_darts_says_what_is_read(text, message):
    with pytest.raises(DataError, match=message):
        made(DartsSpace).from_text(text)


# ------------------------------------------------------------------ NAS-Bench-201

NASLIB = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")


def by_nodes(space, architecture):
    nodes = {1: [], 2: [], 3: []}
    for edge, name in architecture.links():
        nodes[edge.head].append((name, edge.tail))
    return [tuple(links) for links in nodes.values()]


def naslib(space, architecture):
    chosen = {(edge.tail, edge.head): name for edge, name in architecture.links()}
    order = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    return tuple(NASLIB.index(chosen[edge]) for edge in order)


NB201_FORMS = {
    "the benchmark's string": lambda s, a: s.to_text(a),
    "spaces around +": lambda s, a: s.to_text(a).replace("+", " + "),
    "line breaks": lambda s, a: s.to_text(a).replace("+", "+\n  ").replace("~", " ~"),
    "quotes": lambda s, a: f"'{s.to_text(a)}'",
    "a line of a log": lambda s, a: f"[12:00:01] best arch : {s.to_text(a)}, 93.2%",
    "XAutoDL's Structure": lambda s, a: f"genotype: Structure(4 nodes with {s.to_text(a)})",
    "JSON": lambda s, a: json.dumps(s.to_text(a)),
    "tuples of nodes": lambda s, a: str(tuple(by_nodes(s, a))),
    "lists of nodes": lambda s, a: json.dumps(by_nodes(s, a)),
    "lists of nodes with weights": lambda s, a: str([weighted(n) for n in by_nodes(s, a)]),
    "NASLib's numbers": lambda s, a: str(naslib(s, a)),
    "NASLib's numbers of numpy": lambda s, a: f"op_indices: {[*naslib(s, a)]}",
}


@pytest.mark.parametrize("form", NB201_FORMS)
@some
@given(seed=SEEDS)
def test_a_cell_of_nasbench201_is_read_in_every_form(form, seed):
    space = made(NasBench201Space)
    architecture = drawn(space, seed)
    assert space.from_text(NB201_FORMS[form](space, architecture)) == architecture


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1234", "1234 is a place in one edition of the benchmark's file; give the string"),
        ("(4, 0, 3, 1, 4, 5)", "NASLib numbers the operations from 0 to 4, got 5"),
        ("(4, 0, 3, 1)", "NASLib's six numbers; got"),
        ("[[('none', 0)], [('none', 0)], []]", "Node 2 must be written|Node 3 must be 3 of"),
        ("[[('none', 0)], 3, 4]", r"Node 2 must be 2 of \(operation, source\), got 3"),
        ("64:64:64:64:64", "3 nodes joined by"),
        ("resnet", "3 nodes joined by"),
    ],
)
def test_a_text_that_is_no_cell_of_nasbench201_says_what_is_read(text, message):
    with pytest.raises(DataError, match=message):
        made(NasBench201Space).from_text(text)


# ------------------------------------------------------------------ MobileNets


def block(layer, name):
    """A block of a stored network, in the form that ProxylessNAS and Once-for-all share."""
    if name == "skip":
        return {
            "name": "MobileInvertedResidualBlock",
            "mobile_inverted_conv": {"name": "ZeroLayer"},
        }
    inner = {
        "name": "MBInvertedConvLayer",
        "in_channels": layer.channels_in,
        "out_channels": layer.channels,
        "kernel_size": int(name[-1]),
        "stride": layer.stride,
        "expand_ratio": int(name[2 : name.index("_")]),
    }
    return {"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": inner, "shortcut": None}


def stored(layout, names, multiplier=1.0, zeros=True):
    """The `.config` of a network; without `zeros` what is skipped is not there."""
    stem, first = (scaled(x, multiplier) for x in (layout.stem_channels, layout.first_channels))
    begin = {
        "in_channels": stem,
        "out_channels": first,
        "kernel_size": 3,
        "stride": 1,
        "expand_ratio": 1,
    }
    blocks = [{"mobile_inverted_conv": begin, "shortcut": None}]
    for layer, name in zip(plan(layout, multiplier), names, strict=True):
        if zeros or name != "skip":
            blocks.append(block(layer, name))
    return {"name": "ProxylessNASNets", "first_conv": {"out_channels": stem}, "blocks": blocks}


def mobile(space, architecture):
    return [name for (name,) in architecture.choices]


MOBILE_FORMS = {
    "words": lambda s, a: s.to_text(a),
    "a list": lambda s, a: str(mobile(s, a)),
    "a list in JSON over lines": lambda s, a: json.dumps(mobile(s, a), indent=1),
    "commas": lambda s, a: ", ".join(mobile(s, a)),
    "bars between stages": lambda s, a: " | ".join(mobile(s, a)),
    "ProxylessNAS's names": lambda s, a: " ".join(
        "Zero" if name == "skip" else f"{name[-1]}x{name[-1]}_MBConv{name[2]}"
        for name in mobile(s, a)
    ),
    "a .config": lambda s, a: json.dumps(stored(LAYOUTS["proxyless"], mobile(s, a))),
    "a .config as Python prints it": lambda s, a: str(stored(LAYOUTS["proxyless"], mobile(s, a))),
}


@pytest.mark.parametrize("form", MOBILE_FORMS)
@some
@given(seed=SEEDS)
def test_a_mobile_network_is_read_in_every_form(form, seed):
    space = made(MobileNetSpace)
    architecture = drawn(space, seed)
    assert space.from_text(MOBILE_FORMS[form](space, architecture)) == architecture


@some
@given(
    kernels=st.lists(st.sampled_from([3, 5, 7]), min_size=20, max_size=20),
    expansions=st.lists(st.sampled_from([3, 4, 6]), min_size=20, max_size=20),
    depths=st.lists(st.integers(2, 4), min_size=5, max_size=5),
    width=st.sampled_from([1.0, 1.2]),
)
def test_once_for_all_stores_a_network_in_two_forms_that_agree(kernels, expansions, depths, width):
    space = made(MobileNetSpace, layout="mobilenetv3", width_multiplier=width)
    chosen = {"wid": None, "ks": kernels, "e": expansions, "d": depths, "r": [224]}
    architecture = space.from_text(str(chosen))
    for place, name in enumerate(mobile(space, architecture)):
        there = place % 4 < depths[place // 4]
        assert name == (
            f"mb{expansions[place]}_{kernels[place]}x{kernels[place]}" if there else "skip"
        )
    layout = LAYOUTS["mobilenetv3"]
    config = stored(layout, mobile(space, architecture), width, zeros=False)
    assert space.from_text(json.dumps(config)) == architecture
    options = MobileNetSpace.options_for(json.dumps(config))
    assert made(MobileNetSpace, **options).from_text(json.dumps(config)) == architecture


def changed(config, path, value):
    inner = config
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return config


WHOLE = ["mb3_3x3"] * 21


def proxyless():
    return stored(LAYOUTS["proxyless"], WHOLE)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (stored(LAYOUTS["proxyless-gpu"], WHOLE), "begins with 40 and 24 channels, .*32 and 16"),
        (stored(LAYOUTS["proxyless-mobile"], WHOLE), "has 16 to 32 channels, .* at layer 1, .*24"),
        (changed(proxyless(), ["blocks", 4], None), None),
        (
            changed(proxyless(), ["blocks", 1], None),
            "has nothing at layer 1",
        ),
        (changed(proxyless(), ["blocks"], []), "no first block"),
        (changed(proxyless(), ["blocks"], 3), "blocks must be a list"),
        (
            changed(proxyless(), ["blocks", 3], {"a": 1}),
            r"blocks\[3\] says no",
        ),
        ({"ks": [3] * 21, "e": [3] * 21, "d": [4] * 5, "w": 1.2}, "Use `-s width_multiplier=1.2`"),
        ({"ks": [3] * 20, "e": [3] * 21, "d": [4] * 5}, "ks must be 21 whole numbers"),
        ({"ks": [3] * 21, "e": [3] * 21, "d": [4] * 4 + [5]}, "stage 5 has 1 to 4 layers, got 5"),
        ({"ks": [3] * 21}, "expected Once-for-all's"),
        ("1 0 2 3", "places in a program's own list of candidates"),
        ('{"ks": [3', "an architecture of this space|stops being a configuration"),
    ],
)
def test_a_configuration_of_another_network_is_refused(config, message):
    space = made(MobileNetSpace)
    text = config if isinstance(config, str) else json.dumps(config)
    if message is None:
        assert mobile(space, space.from_text(text))[3] == "skip"
        return
    with pytest.raises(DataError, match=f"(?i){message}"):
        space.from_text(text)


def test_a_configuration_of_once_for_alls_mobile_space_need_not_name_the_last_stage():
    chosen = {"ks": [3] * 21, "e": [6] * 21, "d": [2, 2, 2, 2, 2]}
    assert words(chosen, LAYOUTS["proxyless"], 1.0)[-3:] == ["skip", "skip", "mb6_3x3"]


@pytest.mark.parametrize(
    "form", ["02012100", "'02012100'", " 0 2 0 1 2 1 0 0\n", "[0, 2, 0, 1, 2, 1, 0, 0]"]
)
def test_a_network_of_nasbench_macro_is_read_in_every_form(form):
    space = made(MacroSpace)
    assert space.to_text(space.from_text(form)) == "02012100"


# ------------------------------------------------------------------ names, and nastk's own

NAMES = [
    pytest.param(space, name, id=f"{space}-{name}")
    for space in catalogue().names("space")
    for name in catalogue().load("space", space).published
]


@pytest.mark.parametrize(("space", "name"), NAMES)
def test_a_published_name_is_its_own_network_under_its_own_options(space, name):
    found = catalogue().load("space", space)
    known = found.published[name]
    assert found.options_for(f" {name.lower()} ") == known.options
    own = made(found, **known.options)
    assert own.from_text(name) == own.from_text(known.text)


@pytest.mark.parametrize(("space", "name"), NAMES)
def test_a_published_name_is_never_another_network(space, name):
    found, task = catalogue().load("space", space), Task(10, 3, 64)
    known = found.published[name]
    own = made(found, **known.options)
    with torch.device("meta"):
        network = own.network(own.from_text(name), task)
    wanted = [weight.shape for weight in network.parameters()]
    others = [each.options for each in found.published.values() if each.options != known.options]
    others += [{**known.options, "width_multiplier": 0.5}] if name.startswith("PROXYLESS") else []
    others += [{"nodes": 3}] if space == "darts" else [{"head_channels": 100}]
    refused = 0
    for options in others:
        other = made(found, **options)
        try:
            architecture = other.from_text(name)
        except DataError as error:
            assert "-s " in str(error)
            refused += 1
            continue
        with torch.device("meta"):
            network = other.network(architecture, task)
        assert [weight.shape for weight in network.parameters()] == wanted
    assert refused


@pytest.mark.parametrize("name", catalogue().names("space"))
def test_nastks_own_json_is_read_by_every_space(name):
    space = made(catalogue().load("space", name))
    architecture = drawn(space, 0)
    own = {**architecture.to_json(), "text": space.to_text(architecture)}
    for value in (own, {"architecture": own, "cost": {}}):
        assert space.from_text(json.dumps(value, indent=2)) == architecture
    with pytest.raises(DataError, match="is an id"):
        space.from_text(architecture.id)
    stranger = next(one for one in ("toy", "nasbench201") if one != name)
    other = drawn(made(catalogue().load("space", stranger)), 0)
    with pytest.raises(DataError, match="Expected an architecture of space"):
        space.from_text(json.dumps(other.to_json()))


def test_json_of_a_space_with_other_candidates_is_the_same_decision():
    narrow, wide = made(DartsSpace), made(DartsSpace, include_none=True)
    architecture = drawn(narrow, 3)
    read = wide.from_text(json.dumps(architecture.to_json()))
    assert narrow.to_text(architecture) == wide.to_text(read)


@pytest.mark.parametrize("nodes", [1, 2, 4, 6])
def test_the_options_of_a_cell_are_seen_in_its_text(nodes):
    space = made(DartsSpace, nodes=nodes)
    text = space.to_text(drawn(space, 1))
    options = DartsSpace.options_for(f"genotype = {text}")
    assert options == ({} if nodes == 4 else {"nodes": nodes})
    assert made(DartsSpace, **options).to_text(made(DartsSpace, **options).from_text(text)) == text
    assert DartsSpace.options_for("nothing") == nastk.SearchSpace.options_for("nothing") == {}
