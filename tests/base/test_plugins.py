import re
import sys
from importlib.metadata import EntryPoint
from itertools import count
from types import SimpleNamespace

import pytest

from nastk import Component, ConfigurationError, Offer, PluginError, UnknownNameError, catalogue
from nastk.base.plugins import KINDS, collect

HEAD = "from nastk.base.hookspecs import Offer, hookimpl\n"
OFFERS = HEAD + "@hookimpl\ndef updaters():\n    return [Offer('coin', 'tosses a coin', '{}')]\n"
TOY = "nastk.testing.split:ToySplit"
numbers = count()


@pytest.fixture
def point(tmp_path, monkeypatch):
    """Makes an entry point for a module with this source, of a distribution not installed."""
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def make(source, distribution="acme-nas", name=None, version="2.0"):
        module = f"acme_{next(numbers)}"
        (tmp_path / f"{module}.py").write_text(source)
        made.append(module)
        return EntryPoint(name or module, module, "nastk")._for(
            SimpleNamespace(name=distribution, version=version)
        )

    yield make
    for module in made:
        sys.modules.pop(module, None)


def coin(load=TOY):
    return OFFERS.format(load)


def test_what_is_installed_comes_from_entry_points():
    found = catalogue()
    assert found.problems == []
    assert found is catalogue()
    for kind, names in {
        "space": {"darts", "toy"},
        "updater": {"darts", "random", "shapley", "toy-split"},
        "evaluator": {"size", "supernet"},
        "data": {"digits", "folder", "toy"},
        "tracker": {"tensorboard", "mlflow", "wandb"},
        "executor": {"processes", "ray"},
    }.items():
        assert names <= set(found.names(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_everything_installed_loads_and_is_what_it_says(kind):
    for name in catalogue().names(kind):
        one = catalogue().find(kind, name)
        loaded = catalogue().load(kind, name)
        assert issubclass(loaded, Component)
        assert (loaded.name, loaded.summary) == (one.offer.name, one.offer.summary)


def test_offers_are_listed_with_their_distribution(point):
    found = collect([point(coin())])
    (one,) = found.all()
    assert (one.kind, one.offer, one.distribution, one.version) == (
        "updater",
        Offer("coin", "tosses a coin", TOY),
        "acme-nas",
        "2.0",
    )
    assert found.names("updater") == ["coin"] and found.names("space") == []


def test_an_entry_point_without_a_distribution_goes_by_its_own_name(point):
    made = point(coin())
    (one,) = collect([EntryPoint(made.name, made.value, "nastk")]).all()
    assert (one.distribution, one.version) == (made.name, "")


def test_an_unknown_name_says_the_near_miss_and_what_did_not_load(point):
    found = collect([point(coin()), point("raise ValueError('torn')", "other")])
    message = (
        r"^No updater is named 'coim'\. Did you mean 'coin'\? Known: coin\. "
        r"List them with `nastk plugins`\. The plugin .* of other"
    )
    with pytest.raises(UnknownNameError, match=message):
        found.find("updater", "coim")
    with pytest.raises(
        ConfigurationError, match=r"No search space is named 'coin'\. Known: none\."
    ):
        found.load("space", "coin")


def test_two_plugins_with_one_name_are_both_listed_and_neither_is_chosen(point):
    points = [
        point(coin(), "acme-nas", "acme_coin"),
        point(coin(), "other-nas", "other_coin", version="0.1"),
    ]
    found = collect(points)
    assert [one.distribution for one in found.all()] == ["acme-nas", "other-nas"]
    message = (
        r"^Several plugins offer the updater 'coin': acme_coin of acme-nas 2\.0 and other_coin of "
        r"other-nas 0\.1\. Choose: NASTK_DISABLE=acme_coin leaves out that of acme-nas, "
        r"NASTK_DISABLE=other_coin leaves out that of other-nas\.$"
    )
    with pytest.raises(PluginError, match=message):
        found.load("updater", "coin")


@pytest.mark.parametrize(
    ("names", "distributions"),
    [
        (("nastk_gradient", "mine"), ("nastk", "acme-nas")),
        (("mine", "mine"), ("nastk", "acme-nas")),
        (("mine", "yours"), ("acme-nas", "acme-nas")),
    ],
)
def test_the_advice_for_a_name_offered_twice_leaves_out_one_offer_and_no_more(
    names, distributions, point
):
    points = [point(coin(), whose, name) for name, whose in zip(names, distributions, strict=True)]
    other = point(OFFERS.replace("'coin'", "'stone'").format(TOY), "nastk", "nastk_other")
    with pytest.raises(PluginError) as error:
        collect([*points, other]).load("updater", "coin")
    advised = re.findall(r"NASTK_DISABLE=(\S+)", str(error.value))
    assert advised
    for name in advised:
        left = collect([*points, other], [name])
        assert left.names("updater") == ["coin", "stone"]
        assert left.find("updater", "coin")


def test_entry_points_of_one_name_in_two_distributions_both_count(point):
    found = collect(
        [
            point(coin(), "acme-nas", "plugin"),
            point(coin().replace("coin", "dice"), "other-nas", "plugin"),
        ]
    )
    assert found.problems == []
    assert found.names("updater") == ["coin", "dice"]


def test_the_same_entry_point_seen_twice_counts_once(point):
    made = point(coin())
    assert len(collect([made, made]).all()) == 1


@pytest.mark.parametrize(
    "disabled", [["acme-nas"], ["ACME-NAS"], [" acme-nas "], ["mine"], ["", "mine", "x"]]
)
def test_what_is_disabled_is_left_out(disabled, point):
    points = [point(coin(), "acme-nas", "mine"), point(coin(), "other-nas")]
    found = collect(points, disabled)
    assert found.find("updater", "coin").distribution == "other-nas"


def test_a_disabled_plugin_is_not_even_imported(point):
    assert collect([point("raise SystemExit(3)")], ["acme-nas"]).problems == []


def test_the_environment_disables(monkeypatch):
    monkeypatch.setenv("NASTK_DISABLE", "nastk_toy, nastk_shapley")
    found = catalogue.__wrapped__()
    assert "shapley" not in found.names("updater") and "toy" not in found.names("space")
    assert "darts" in found.names("updater")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", r"it asked Python to exit \(SystemExit: 3\)"),
        ("raise BaseException('out')", "BaseException: out"),
        (
            HEAD + "@hookimpl\ndef updaters():\n    raise SystemExit\n",
            "it asked Python to exit",
        ),
        (
            "import no_such_module_at_all",
            "ModuleNotFoundError: No module named 'no_such_module_at_all'",
        ),
        ("def broken(:", "SyntaxError"),
        (
            HEAD + "@hookimpl\ndef updater():\n    return []\n",
            "PluginValidationError: .*unknown hook 'updater'",
        ),
        (
            HEAD + "@hookimpl\ndef updaters(event):\n    return []\n",
            "PluginValidationError.*updaters",
        ),
        (HEAD + "@hookimpl\ndef updaters():\n    raise OSError('gone')\n", "OSError: gone"),
        (
            HEAD + "@hookimpl\ndef updaters():\n    pass\n",
            "TypeError: 'NoneType' object is not iterable",
        ),
        (
            HEAD + "@hookimpl\ndef updaters():\n    return ['coin']\n",
            r"TypeError: updaters must return a list of nastk\.Offer, got 'coin' in it",
        ),
    ],
    ids=[
        "raises",
        "exits",
        "raises what is no exception",
        "hook exits",
        "needs another",
        "syntax",
        "unknown hook",
        "wrong signature",
        "hook raises",
        "no list",
        "no offer",
    ],
)
def test_a_broken_plugin_is_named_and_the_others_go_on(source, said, point):
    found = collect([point(source, "broken-nas", "a_broken"), point(coin())])
    (problem,) = found.problems
    assert re.search(
        rf"^The plugin 'a_broken' of broken-nas 2\.0 did not load: (?s:{said})", problem
    )
    assert problem.endswith("Mend it, uninstall it, or leave it out with NASTK_DISABLE=a_broken.")
    assert found.names("updater") == ["coin"]


def test_a_plugin_that_breaks_in_one_hook_keeps_the_others(point):
    source = (
        coin("nastk.testing.split:ToySplit")
        + "@hookimpl\ndef search_spaces():\n    raise OSError('gone')\n"
    )
    found = collect([point(source)])
    assert len(found.problems) == 1
    assert found.names("updater") == ["coin"]


@pytest.mark.parametrize(
    ("load", "message"),
    [
        (
            "no_such_module:Coin",
            r"'coin' of acme-nas 2\.0 does not load from no_such_module:Coin: ModuleNotFoundError",
        ),
        ("nastk.testing.split:Coin", "does not load from nastk.testing.split:Coin: AttributeError"),
        ("nastk.testing.split", "does not load from nastk.testing.split: AttributeError"),
        ("", "does not load from : ValueError"),
        (
            TOY,
            r"acme-nas offers 'coin' at nastk\.testing\.split:ToySplit, which is no updater named "
            "'coin'",
        ),
        ("nastk.base.seeds:seed_of", "which is no updater named 'coin'"),
        ("nastk.base.cost:Cost", "which is no updater named 'coin'"),
        ("nastk.testing.toy:ToySpace", "which is no updater named 'coin'"),
        ("nastk.base.component:Component", "which is no updater named 'coin'"),
    ],
)
def test_an_offer_that_leads_nowhere_is_said_when_it_is_used(load, message, point):
    found = collect([point(coin(load))])
    assert found.problems == []  # nothing is imported before it is used
    with pytest.raises(PluginError, match=message):
        found.load("updater", "coin")
