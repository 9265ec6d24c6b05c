"""What components say of themselves without being imported equals what their classes say."""

import json
import subprocess
import sys

import pytest

from nastk import ConfigurationError, catalogue
from nastk.report import descriptions
from nastk.testing import ToySpace

ALL = """
import sys
from nastk.base.plugins import catalogue
from nastk.report import descriptions
for one in catalogue().all():
    if one.distribution == "nastk":
        assert descriptions.description(one.kind, one.offer.name)
descriptions.ranking()
heavy = {"torch", "torchvision", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""


def test_every_component_of_nastk_is_described_without_torch():
    subprocess.run([sys.executable, "-c", ALL], check=True)


@pytest.mark.parametrize("text", ["", "[1]", '{"space toy": {}}', '{"space toy": 3}'])
def test_a_file_that_is_none_is_as_no_file(monkeypatch, tmp_path, text):
    (tmp_path / descriptions.FILE).write_text(text)
    monkeypatch.setattr(descriptions, "_path", lambda package: tmp_path / descriptions.FILE)
    descriptions._file_of.cache_clear()
    try:
        assert descriptions.stored(catalogue().find("space", "toy")) is None
        assert descriptions.description("space", "toy") == descriptions.of_class(ToySpace)
    finally:
        descriptions._file_of.cache_clear()


def test_a_package_that_brings_a_file_is_described_by_it(monkeypatch, tmp_path):
    (tmp_path / "acme_nas").mkdir()
    (tmp_path / "acme_nas" / "__init__.py").write_text("raise RuntimeError('imported')")
    described = {"updater acme": {"options": [], "presets": []}}
    (tmp_path / "acme_nas" / descriptions.FILE).write_text(json.dumps(described))
    monkeypatch.syspath_prepend(tmp_path)
    assert descriptions._file_of("acme_nas") == described
    with pytest.raises(ConfigurationError, match="no installed package"):
        descriptions._path("acme_nothing")
