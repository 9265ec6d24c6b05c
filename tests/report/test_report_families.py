"""Families of operations: which operation is whose, in colours that differ."""

import subprocess
import sys

import pytest

from nastk.report.families import FAMILIES, family, readable


@pytest.mark.parametrize(
    "operation, name",
    [
        ("none", "none"),
        ("skip_connect", "skip connection"),
        ("Identity", "skip connection"),
        ("sep_conv_5x5", "separable convolution"),
        ("dil_conv_3x3", "dilated convolution"),
        ("dil_sep_conv_3x3", "dilated convolution"),
        ("nor_conv_1x1", "convolution"),
        ("mb3_k5_e6", "convolution"),
        ("avg_pool_3x3", "pooling"),
        ("noise", "other operation"),
    ],
)
def test_families(operation, name):
    assert family(operation).name == name


def test_family_colours_differ():
    assert (
        len({each.colour for each in FAMILIES})
        == len({each.terminal for each in FAMILIES})
        == len(FAMILIES)
    )
    assert readable("dil_conv_5x5") == "dil conv 5×5"


def test_importing_the_report_needs_neither_torch_nor_matplotlib():
    modules = ["graph", "terminal", "summary", "tables", "options", "branches", "tree"]
    program = (
        f"import sys; {'; '.join(f'import nastk.report.{name}' for name in modules)}; "
        "print([name for name in ('torch', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
