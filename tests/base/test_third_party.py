"""Packages of strangers, as pip would leave them: they are found, they work, they fail politely."""

import json

import pytest
from cli_kit import called

import nastk
from nastk import catalogue
from nastk.cli.app import build
from nastk.runs.folder import RunFolder

HOOK = """
from nastk import Offer, hookimpl

@hookimpl
def updaters():
    return [Offer("acme", "made by acme", "acme_updater:Acme")]
"""
UPDATER = """
import torch
from nastk import ArchitectureUpdater, Mixture

class Acme(ArchitectureUpdater):
    name, summary = "acme", "made by acme"

    def mixtures(self, probe):
        {mixtures}

    def after_epoch(self, probe):
        {after_epoch}

    def architecture(self, probe):
        return self.space.decide({scores}, probe.subspace)
"""
GOOD = {
    "mixtures": "return [Mixture.uniform(probe.subspace)]",
    "after_epoch": "return super().after_epoch(probe)",
    "scores": "torch.ones(5, 4)",
}
CONFIG = {
    "space": "toy",
    "updater": "acme",
    "data": "toy",
    "trainer": {"epochs": 3, "batch_size": 16},
}


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Puts a package on the path as an installed distribution: a module of hooks, an updater."""

    def installed(hook=HOOK, **parts):
        site = tmp_path / "site"
        info = site / "acme_nas-2.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-nas\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text("[nastk]\nacme = acme_hooks\n")
        (site / "acme_hooks.py").write_text(hook)
        (site / "acme_updater.py").write_text(UPDATER.format(**{**GOOD, **parts}))
        monkeypatch.syspath_prepend(site)
        catalogue.cache_clear()

    yield installed
    for name in ("acme_hooks", "acme_updater"):
        __import__("sys").modules.pop(name, None)
    catalogue.cache_clear()


def test_an_installed_package_is_found_and_searches(install, tmp_path):
    install()
    one = catalogue().find("updater", "acme")
    assert (one.distribution, one.version) == ("acme-nas", "2.0")
    result = nastk.search(**CONFIG, out=tmp_path / "a")
    assert result.text == "skip,skip,skip,skip,skip"


def test_a_plugin_that_raises_on_import_is_named_and_the_others_go_on(install, tmp_path):
    install(hook="import no_such_library")
    (problem,) = catalogue().problems
    assert "'acme' of acme-nas 2.0 did not load: ModuleNotFoundError" in problem
    assert "NASTK_DISABLE=acme" in problem
    assert nastk.search(**{**CONFIG, "updater": "darts"}, out=tmp_path / "a").architecture
    with pytest.raises(nastk.UnknownNameError, match=r"acme-nas 2\.0 did not load"):
        nastk.search(**CONFIG)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise SystemExit(3)", "it asked Python to exit (SystemExit: 3)"),
        ("app.command()(lambda strange: 1 / 0); raise OSError('gone')", "OSError: gone"),
        ("app.command('x')(lambda *, a=object(): None); 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_plugin_that_fails_to_add_commands_is_named_and_the_others_go_on(install, body, said):
    install(hook=f"{HOOK}\n@hookimpl\ndef commands(app):\n    {body}\n")
    code, out, err = called("plugins")
    assert code == 0
    assert "acme" in out and said in " ".join(err.split())


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"mixtures": "return [Mixture(torch.full((5, 4), torch.nan), probe.subspace.mask)]"},
            "acme answered a mixture with weights that are not finite",
        ),
        (
            {"mixtures": "return [Mixture(torch.ones(2, 2), torch.ones(2, 2).bool())]"},
            r"acme answered a mixture of shape \(2, 2\)",
        ),
        ({"mixtures": "return []"}, "acme answered no mixture"),
        (
            {"mixtures": "raise RuntimeError('out of ideas')"},
            r"'acme' \(acme-nas 2\.0\) on space 'toy' failed: RuntimeError: out of ideas",
        ),
        ({"scores": "torch.full((5, 4), torch.nan)"}, "not a number on first:0->1"),
        ({"scores": "torch.ones(3, 3)"}, r"decides on scores of shape \(5, 4\)"),
        (
            {
                "after_epoch": "return [nastk.Continuation(probe.subspace.only(0, []))]".replace(
                    "nastk.", "__import__('nastk')."
                )
            },
            "left branch 0 a subspace without an architecture: edge first:0->1",
        ),
        ({"after_epoch": "return 1 / 0"}, "failed: ZeroDivisionError"),
    ],
)
def test_a_plugin_that_answers_nonsense_ends_in_one_message_and_keeps_the_run(
    install, tmp_path, parts, words
):
    install(**parts)
    with pytest.raises(nastk.PluginError, match=words):
        nastk.search(**CONFIG, out=tmp_path / "a")
    folder = RunFolder.open(tmp_path / "a")
    assert folder.state() == "failed"
    assert folder.error()
    assert [
        json.loads(line)["kind"]
        for line in (tmp_path / "a" / "events.jsonl").read_text().splitlines()
    ]


def test_building_the_command_line_again_adds_no_command_again():
    first, second = build(), build()
    assert len(first.registered_groups) == len(second.registered_groups) > 0
    assert len(first.registered_commands) == len(second.registered_commands)
