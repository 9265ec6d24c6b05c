"""The picture: its formats, its size, that it is the same twice, that nothing else notices it."""

import hashlib
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.image import imread
from report_kit import BENCH, BOTH, CHAIN, DARTS_V2, SAMPLES

from nastk import ConfigurationError
from nastk.report import family
from nastk_drawing import draw
from nastk_drawing.canvas import RESOLUTION, text_width
from nastk_drawing.cell import picture


@pytest.mark.parametrize("suffix", ["svg", "pdf"])
def test_the_same_cell_gives_the_same_bytes(tmp_path, suffix):
    digests = set()
    for name in ("a", "b"):
        path = draw(DARTS_V2, tmp_path / f"{name}.{suffix}", title="DARTS", subtitle="seed 0")
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_another_cell_gives_another_picture(tmp_path):
    assert (
        draw(BENCH, tmp_path / "a.svg").read_bytes() != draw(BOTH, tmp_path / "b.svg").read_bytes()
    )


def test_svg_says_no_date_and_has_every_family_colour(tmp_path):
    text = draw(DARTS_V2, tmp_path / "cell.svg").read_text()
    assert text.startswith("<?xml")
    assert "dc:date" not in text
    for operation in ("sep_conv_3x3", "dil_conv_3x3", "max_pool_3x3", "skip_connect"):
        assert family(operation).colour.lower() in text.lower()


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("name", SAMPLES)
def test_png_has_the_size_of_the_figure_and_is_not_blank(tmp_path, name):
    figure = picture(SAMPLES[name], title=name)
    width, height = figure.get_size_inches() * RESOLUTION
    pixels = imread(draw(SAMPLES[name], tmp_path / "deep" / "cell.PNG", title=name))
    assert pixels.shape[0] == pytest.approx(height, abs=1.01)
    assert pixels.shape[1] == pytest.approx(width, abs=1.01)
    assert pixels[..., :3].min() < 0.2
    assert 0.01 < (pixels[..., :3].min(axis=-1) < 0.9).mean() < 0.5


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_everything_that_matters_is_written():
    found = texts(picture(DARTS_V2, title="A title", subtitle="and more"))
    assert found[:2] == ["A title", "and more"]
    assert {"Normal cell", "Reduction cell", "0", "1", "2", "3"} <= set(found)
    assert found.count(r"$\mathit{c}_{k-2}$") == 2
    assert found.count("sep conv 3×3") == 5
    assert found.count("max pool 3×3") == 5
    assert found[-4:] == [
        "dilated convolution",
        "pooling",
        "separable convolution",
        "skip connection",
    ]


def test_scores_stand_beside_their_operations():
    found = texts(picture(BOTH, scores=[[0.125, -3.0]]))
    assert "0.125" in found
    assert "-3" in found


def test_every_text_lies_inside_the_picture():
    for architecture in (DARTS_V2, CHAIN):
        figure = picture(
            architecture, title="A title that is long enough to be wider than a toy" * 2
        )
        frame = figure.bbox
        for text in figure.axes[0].texts:
            box = text.get_window_extent()
            assert frame.x0 <= box.x0
            assert box.x1 <= frame.x1
            assert frame.y0 <= box.y0
            assert box.y1 <= frame.y1


def test_labels_are_as_wide_as_their_text():
    figure = picture(BENCH)
    scale = figure.dpi / 72
    widths = {
        text.get_text(): text.get_window_extent().width / scale for text in figure.axes[0].texts
    }
    assert text_width("nor conv 3×3", 8.5) == pytest.approx(widths["nor conv 3×3"], rel=0.05)


@pytest.mark.parametrize("name", ["cell.gif", "cell", "cell.svg.txt"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ConfigurationError, match=rf"svg, png, pdf, got the file name '{name}'"):
        draw(BENCH, tmp_path / name)
    assert not (tmp_path / name).exists()


def test_settings_of_other_plots_are_left_alone(tmp_path):
    before = dict(matplotlib.rcParams)
    draw(BENCH, tmp_path / "cell.svg")
    assert dict(matplotlib.rcParams) == before


def test_importing_the_pictures_needs_neither_torch_nor_matplotlib():
    modules = ["cell", "layout", "tree_picture", "command_line"]
    program = (
        f"import sys; {'; '.join(f'import nastk_drawing.{name}' for name in modules)}; "
        "print({'torch', 'matplotlib', 'numpy', 'scipy', 'igraph'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "set()"
