"""The environment that runs write down: installed versions, and a processor with a name."""

import platform
from importlib.metadata import version

from nastk.base import environment


def test_it_names_python_the_libraries_and_the_machine():
    found = environment()
    assert found["python"] == platform.python_version()
    assert {name: found[name] for name in ("nastk", "torch", "numpy")} == {
        name: version(name) for name in ("nastk", "torch", "numpy")
    }
    assert found["system"].startswith(platform.system()) and found["processor"]


def test_what_is_not_installed_is_left_out():
    assert set(environment(["no-such-library"])) == {"python", "system", "processor"}


def test_a_system_without_a_description_of_its_processor_still_names_one(monkeypatch):
    from nastk.base.environment import processor

    monkeypatch.setattr("pathlib.Path.read_text", _fails)
    processor.cache_clear()
    assert processor()
    processor.cache_clear()


def _fails(self, **options):
    raise FileNotFoundError(self)
