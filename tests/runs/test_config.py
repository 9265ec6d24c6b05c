import json
from pathlib import Path

import pytest
import yaml
from core_kit import WISHES
from hypothesis import given
from hypothesis import strategies as some

import nastk
from nastk import ConfigurationError, SearchConfig, catalogue, resolve
from nastk.base.component import assignments
from nastk.runs.config import check_keys, merge, presets, read_config, to_json

TOY = {"space": "toy", "updater": "toy-split", "data": "toy"}


# --------------------------------------------------------- what was asked becomes one configuration


def test_every_default_is_written_out():
    config = resolve(TOY)
    assert config.space.options == {"channels": 4}
    assert config.updater.options == {"split": 1}
    assert config.data.options["train_fraction"] == 0.5
    assert [one.name for one in config.evaluators] == ["supernet", "size"]
    assert (config.seed, config.device, config.precision, config.deterministic, config.preset) == (
        0,
        "auto",
        "auto",
        False,
        None,
    )
    assert config.trainer == nastk.TrainerOptions()


@pytest.mark.parametrize(
    "asked",
    [
        TOY,
        WISHES,
        {"space": "darts", "updater": "darts"},
        {"space": "darts", "updater": "shapley", "data": "cifar10", "preset": "paper"},
        {"space": "darts", "updater": "random", "data": "folder:pictures", "evaluators": ["size"]},
        {
            **TOY,
            "evaluators": [nastk.use("supernet", batch_size=7)],
            "seed": 3,
            "precision": "bf16",
        },
    ],
)
def test_a_written_configuration_resolves_to_itself(asked):
    config = resolve(asked)
    text = to_json(config)
    assert resolve(json.loads(text)) == config
    assert to_json(resolve(yaml.safe_load(text))) == text


@given(
    seed=some.integers(0, 2**31),
    epochs=some.integers(1, 10**6),
    channels=some.integers(1, 512),
    rate=some.floats(1e-3, 1e3),
)
def test_any_configuration_resolves_to_itself(seed, epochs, channels, rate):
    asked = {**TOY, "space": nastk.use("toy", channels=channels), "seed": seed}
    config = resolve({**asked, "trainer": {"epochs": epochs, "learning_rate": rate}})
    assert resolve(json.loads(to_json(config))) == config


@pytest.mark.parametrize("section", ["space", "updater", "data"])
def test_a_component_may_be_written_in_three_ways(section):
    name = TOY[section]
    for written in (name, nastk.use(name), {"name": name}, {"name": name, "options": {}}):
        assert resolve({**TOY, section: written}) == resolve(TOY)


def test_layers_from_weak_to_strong():
    """Component defaults, then the preset, then the file, then the command line."""
    base = {"space": "darts", "updater": "shapley", "data": "cifar10"}
    paper = resolve({**base, "preset": "paper"})
    assert resolve(base).trainer.batch_size == 64
    assert (
        paper.trainer.batch_size,
        paper.trainer.learning_rate,
        paper.updater.options["batch_size"],
    ) == (
        256,
        0.1,
        1024,
    )
    file = {
        **base,
        "preset": "paper",
        "trainer": {"batch_size": 128, "epochs": 40},
        "updater": nastk.use("shapley", samples=3),
    }
    flags = {"trainer": {"epochs": 30}, "updater": {"name": None, "options": {"warmup": 2}}}
    config = resolve(merge(file, flags))
    assert (config.trainer.learning_rate, config.trainer.batch_size, config.trainer.epochs) == (
        0.1,
        128,
        30,
    )
    assert (config.updater.options["warmup"], config.updater.options["samples"]) == (2, 3)
    assert config.preset == "paper"


def test_an_option_set_to_none_wins_over_the_preset():
    asked = {"space": "darts", "updater": "darts", "data": "cifar10", "preset": "paper"}
    assert resolve(asked).trainer.gradient_clip == 5.0
    assert resolve({**asked, "trainer": {"gradient_clip": None}}).trainer.gradient_clip is None


@pytest.mark.parametrize(
    ("asked", "data", "preset"),
    [
        ({}, "digits", "quick"),
        ({"data": None}, "digits", "quick"),
        ({"data": {"name": None, "options": {"limit": 200}}}, "digits", "quick"),
        ({"data": "digits"}, "digits", "quick"),
        ({"data": {"name": "digits", "options": {"limit": 200}}}, "digits", "quick"),
        ({"preset": "none"}, "digits", None),
        ({"data": "digits", "preset": None}, "digits", None),  # as a written configuration says
        ({"data": "toy"}, "toy", None),
        ({"data": "toy", "preset": "quick"}, "toy", "quick"),
    ],
)
def test_on_the_digits_named_or_not_it_is_a_quick_look(asked, data, preset):
    config = resolve({"space": "toy", "updater": "darts", **asked})
    assert (config.data.name, config.preset) == (data, preset)
    assert config.trainer.epochs == (6 if preset else 50)
    assert config.updater.options["warmup"] == (1 if preset else 0)


def test_a_path_may_follow_the_name_of_the_data():
    config = resolve({**TOY, "data": "folder:/some/where:else"})
    assert (config.data.name, config.data.options["path"]) == ("folder", "/some/where:else")
    merged = merge({"data": "folder:a"}, {"data": {"name": None, "options": {"limit": 9}}})
    assert merged["data"] == {"name": "folder", "options": {"path": "a", "limit": 9}}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"spaces": "toy"},
            r"^config has the unknown key 'spaces'\. Did you mean 'space'\? Known: budget, "
            "data, deterministic, ",
        ),
        ({"xyz": 1}, "config has the unknown key 'xyz'. Known"),
        ({"space": "tony"}, r"No search space is named 'tony'\. Did you mean 'toy'"),
        ({"updater": "shapely"}, r"No updater is named 'shapely'\. Did you mean 'shapley'"),
        ({"data": "digit"}, r"No data source is named 'digit'\. Did you mean 'digits'"),
        ({"evaluators": ["sizes"]}, r"No evaluator is named 'sizes'\. Did you mean 'size'"),
        (
            {"space": nastk.use("toy", channel=3)},
            r"toy has no option 'channel'\. Did you mean 'channels'",
        ),
        (
            {"updater": nastk.use("toy-split", split=0)},
            "toy-split: split must be at least 1, got 0",
        ),
        (
            {"evaluators": [nastk.use("supernet", batch_size=1)]},
            "supernet: batch_size must be at least 2",
        ),
        ({"trainer": {"epoch": 3}}, r"trainer has no option 'epoch'\. Did you mean 'epochs'"),
        ({"trainer": 3}, r"config: trainer is written as \{epochs: 10, \.\.\.\}, got 3"),
        ({"seed": -1}, "config: seed must be at least 0, got -1"),
        ({"seed": "one"}, "config: seed: expected a valid integer"),
        (
            {"precision": "fp16"},
            "config: precision must be one of 'auto', 'fp32' or 'bf16', got 'fp16'",
        ),
        ({"evaluators": "size"}, r"evaluators is a list, such as \[supernet, size\]; got 'size'"),
        ({"evaluators": nastk.use("size")}, "evaluators is a list"),
        ({"evaluators": [3]}, "named by a string, got 3"),
        ({"space": 3}, "named by a string, got 3"),
        ({"space": ["toy"]}, "named by a string, got"),
        ({"space": {"name": "toy", "option": {}}}, "A component is written as a name or as"),
        ({"space": {"name": "toy", "options": [1]}}, "A component is written as a name or as"),
        (
            {"space": None},
            r"^No space was named\. Name one, e\.g\. --space darts; `nastk plugins` lists them\.$",
        ),
        ({"updater": None}, r"^No updater was named\. Name one, e\.g\. --updater shapley"),
        (
            {"space": {"options": {"channels": 3}}},
            "Options for the space were given, but no space: name one with --space",
        ),
        ({"seed": True}, "config: seed: expected a whole number and not true, got True"),
        ({"budget": "nonsense"}, "A budget is written as images=400k, .* got 'nonsense'"),
        ({"budget": "images=4k"}, "budget 'images=4k' is for studies, .* or say --epochs"),
        (
            {"evaluators": ["size", nastk.use("supernet", batch_size=7), "supernet"]},
            "The evaluator 'supernet' is asked for twice",
        ),
        ({"trainer": {"threads": 5000}}, "trainer: threads must be at most 1024, got 5000"),
        ({"trainer": {"workers": 5000}}, "trainer: workers must be at most 256, got 5000"),
        ({"preset": ["quick"]}, r"config: preset is a name, got \['quick'\]"),
    ],
)
def test_what_cannot_be_done_is_said(asked, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve({**TOY, **asked})


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"updater": "toy-split", "preset": "paper"},
            r"^Updater 'toy-split' has no preset 'paper' for space 'toy' with data 'toy'\. "
            r"It has: quick on any space with any data\.$",
        ),
        (
            {"updater": "shapley", "preset": "papr"},
            r"no preset 'papr' .*Did you mean 'paper'\? "
            r"It has: quick on any space with any data; paper on darts with cifar10",
        ),
        (
            {"updater": "shapley", "preset": "paper"},
            r"has no preset 'paper' for space 'toy' with data 'toy'\. "
            r"It has: .*paper on darts with cifar10, cifar100 \(Xiao",
        ),
    ],
)
def test_a_preset_that_is_not_there_lists_what_is(asked, message):
    with pytest.raises(ConfigurationError, match=message):
        resolve({**TOY, **asked})


@pytest.mark.parametrize("updater", catalogue().names("updater"))
def test_every_preset_resolves_where_it_fits(updater):
    for preset in catalogue().load("updater", updater).presets:
        for data in preset.data or ("digits",):
            asked = {
                "space": (preset.space or ("toy",))[0],
                "updater": updater,
                "data": {"folder": "folder:photos"}.get(data, data),
                "preset": preset.name,
            }
            assert resolve(asked).preset == preset.name
    uses = {section: nastk.use(name) for section, name in {**TOY, "updater": updater}.items()}
    classes = {section: catalogue().load(section, use.name) for section, use in uses.items()}
    assert "quick" in {one.name for one in presets("quick", uses, classes)}


# ---------------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("weaker", "stronger", "merged"),
    [
        ({"seed": 1}, {"seed": 2}, {"seed": 2}),
        ({"seed": 1}, {"seed": None}, {"seed": 1}),
        ({"seed": 1}, {"seed": 0}, {"seed": 0}),
        ({}, {"space": "toy"}, {"space": "toy"}),
        ({"space": None}, {"space": "toy"}, {"space": "toy"}),
        ({"space": "darts"}, {"space": "toy"}, {"space": {"name": "toy", "options": {}}}),
        (
            {"space": {"name": "toy", "options": {"channels": 3}}},
            {"space": "toy"},
            {"space": {"name": "toy", "options": {"channels": 3}}},
        ),
        (
            {"space": {"name": "darts", "options": {"channels": 3}}},
            {"space": "toy"},
            {"space": {"name": "toy", "options": {}}},
        ),
        (
            {"updater": {"name": "a", "options": {"x": 1, "y": 2}}},
            {"updater": {"name": None, "options": {"y": 3}}},
            {"updater": {"name": "a", "options": {"x": 1, "y": 3}}},
        ),
        (
            {"data": {"options": {"limit": 9}}},
            {"data": {"name": None, "options": {"cutout": 2}}},
            {"data": {"name": "digits", "options": {"limit": 9, "cutout": 2}}},
        ),
        (
            {"trainer": {"epochs": 1, "momentum": 0}},
            {"trainer": {"epochs": 2}},
            {"trainer": {"epochs": 2, "momentum": 0}},
        ),
        ({"trainer": None}, {"trainer": {"epochs": 2}}, {"trainer": {"epochs": 2}}),
        ({"evaluators": ["size"]}, {"evaluators": ["supernet"]}, {"evaluators": ["supernet"]}),
    ],
)
def test_a_stronger_layer_wins(weaker, stronger, merged):
    before = json.dumps([weaker, stronger])
    assert merge(weaker, stronger) == merged
    assert json.dumps([weaker, stronger]) == before


# ---------------------------------------------------------------------- files and the command line


@pytest.mark.parametrize(
    "text", ["space: toy\ntrainer:\n  epochs: 3\n", '{"space": "toy", "trainer": {"epochs": 3}}']
)
def test_a_file_is_yaml_or_json(text, tmp_path):
    (tmp_path / "c").write_text(text)
    assert read_config(tmp_path / "c") == {"space": "toy", "trainer": {"epochs": 3}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"space: toy\nupdate: x\n",
            r"c\.yaml has the unknown key 'update'\. Did you mean 'updater'",
        ),
        (b"1: x\n", "has the unknown key 1. Known"),
        (
            b"space: toy\n  bad: [\n",
            r"c\.yaml cannot be read as YAML or JSON: [a-z ]+ at line 2, column 6\.$",
        ),
        (b"space: {a\n", r"as YAML or JSON: .* at line \d+, column \d+"),
        (b"\xff\xfe\x00", r"it is no UTF-8 text \(byte 0xff at position 0\)"),
        (b"seed: 1\nseed: 2\n", "the key 'seed' stands twice; leave one out at line 2, column 1"),
        (b'{"trainer": {"epochs": 1, "epochs": 2}}', "the key 'epochs' stands twice"),
        (b"space: &a [*a]\n", "it is nested more than 50 deep"),
        (b"[" * 3000 + b"]" * 3000, "it is nested too deeply"),
        (b"seed: !!timestamp 2024-13-45\n", "month must be in 1..12"),
        (b"- toy\n", "must hold keys such as `space: darts`, got list"),
        (b"", "must hold keys such as `space: darts`, got NoneType"),
        (b"toy", "got str"),
        (b"trainer: [1]\n", "trainer is written as"),
    ],
)
def test_a_file_with_a_fault_says_which(content, message, tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message) as error:
        read_config(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(
        ConfigurationError, match=r"gone\.yaml cannot be read: No such file or directory"
    ):
        read_config(tmp_path / "gone.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read_config(Path(tmp_path))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("20", 20),
        ("0.5", 0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("null", None),
        ("", None),
        (" ", " "),
        ("paper", "paper"),
        ("a=b", "a=b"),
        ("/some/where", "/some/where"),
        ("[1, 2]", [1, 2]),
        ('"7"', "7"),
        ("yes", "yes"),
        ("[", "["),
        ("2024-01-31", "2024-01-31"),
        ("2024-13-45", "2024-13-45"),
        ("0x_", "0x_"),
        ("!!python/object:os.system", "!!python/object:os.system"),
    ],
)
def test_an_assignment_is_read_as_json_or_as_text(written, value):
    assert assignments([f"name={written}"], "-u") == {"name": value}


@given(
    some.dictionaries(
        some.from_regex("[a-z_]{1,8}", fullmatch=True),
        some.booleans() | some.integers() | some.floats(allow_nan=False),
    )
)
def test_assignments_round_trip(values):
    found = assignments([f"{name}={json.dumps(value)}" for name, value in values.items()], "-u")
    assert {
        name: float(value) if isinstance(value, str) else value for name, value in found.items()
    } == values


@given(some.text())
def test_no_value_of_an_assignment_ends_in_a_traceback(value):
    assert set(assignments([f"name={value}"], "-u")) == {"name"}


@pytest.mark.parametrize("written", ["samples", "=3", " =3", ""])
def test_what_is_no_assignment_is_said(written):
    with pytest.raises(
        ConfigurationError,
        match=rf"^-u takes name=value, such as -u samples=20; got '{written}'\.$",
    ):
        assignments([written], "-u")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('{"a": 1, "a": 2}', "^-u samples cannot be taken: the key 'a' stands twice"),
        ("[" * 99 + "]" * 99, "nested more than 50 deep"),
        ("9" * 5000, "a number of 5000 digits"),
    ],
)
def test_a_value_that_means_two_things_or_has_no_end_is_said(written, message):
    with pytest.raises(ConfigurationError, match=message):
        assignments([f"samples={written}"], "-u")


def test_the_last_assignment_of_a_name_wins():
    assert assignments(["a=1", "b=2", "a = 3"], "-t") == {"a": 3, "b": 2}


def test_every_key_is_described_and_known():
    assert all(field.description for field in SearchConfig.model_fields.values())
    check_keys(dict.fromkeys(SearchConfig.model_fields))
