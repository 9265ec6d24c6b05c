"""What a plugin must answer: the table of docs/architecture.md, as the classes have it."""

import pytest

from nastk import ArchitectureUpdater, DataSource, Evaluator, SearchSpace, Supernet

MUST = [
    (SearchSpace, "supernet network decide to_text from_text"),
    (Supernet, "forward operations"),
    (ArchitectureUpdater, "mixtures architecture"),
    (Evaluator, "evaluate"),
    (DataSource, "task splits"),
]


@pytest.mark.parametrize(("interface", "answers"), MUST)
def test_a_class_that_lacks_an_answer_cannot_be_made(interface, answers):
    names = answers.split()
    for missing in names:
        given = {name: lambda self: None for name in names if name != missing}
        lacking = type("Lacking", (interface,), {"name": "lacking", "summary": "", **given})
        with pytest.raises(TypeError, match=f"abstract method '?{missing}"):
            lacking()
    assert interface.__abstractmethods__ == set(names)
