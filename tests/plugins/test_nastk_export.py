"""`nastk export`: every format is loaded again and compared; cards; what is refused."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from cli_kit import called
from export_kit import trained
from PIL import Image

import nastk_export
from nastk import ConfigurationError, NastkError, TrainedModel, catalogue
from nastk_export import comparing, exporting
from nastk_export.comparing import LIMIT, difference, random_images
from nastk_export.formats import FORMATS, Format

LIBRARY = {"onnx": "onnxruntime", "executorch": "executorch"}
SPACES = [
    name
    for name in catalogue().names("space")
    if name != "s4" and not name.startswith(("toy", "table"))
]  # s4 has noise, and the networks of `table` are those of another space


def needed(format):
    if importlib.util.find_spec(LIBRARY.get(format, "torch")) is None:
        pytest.skip(f"{LIBRARY[format]} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
def test_a_format_answers_like_the_network_and_predicts_without_nastk(format, tmp_path):
    needed(format)
    model = trained(tmp_path / "seed-0", "nasbench201")
    done = nastk_export.export(tmp_path, format, tmp_path / "out")
    assert done.difference <= LIMIT
    assert done.random == 16
    assert done.real > 0
    picture = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(picture)
    code = (
        "import sys, runpy; sys.modules['nastk'] = None\n"
        f"sys.argv = ['predict.py', {str(picture)!r}, '--json', '--top', '99']\n"
        f"runpy.run_path({str(tmp_path / 'out' / 'predict.py')!r}, run_name='__main__')\n"
    )
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (row,) = json.loads(ran.stdout)
    from nastk_export.predicting import predictor

    expected = predictor(model.folder)(picture)
    for seen in row["classes"]:
        assert seen["probability"] == pytest.approx(expected[seen["class"]], abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_a_network_of_every_space_is_exported(format, space, tmp_path):
    needed(format)
    trained(tmp_path / "seed-0", space)
    assert nastk_export.export(tmp_path, format).difference <= LIMIT
    assert (tmp_path / "seed-0" / "exported" / format / FORMATS[format].file).is_file()


@pytest.mark.slow
def test_safetensors_is_read_again_by_nastk(tmp_path):
    model = trained(tmp_path / "seed-0", "nasbench201")
    nastk_export.export(tmp_path, "safetensors", tmp_path / "out")
    again = TrainedModel.load(tmp_path / "out")
    images = torch.from_numpy(random_images(model, 3))
    with torch.no_grad():
        assert torch.equal(again.network()(images), model.network()(images))


# ------------------------------------------------------- the folder, with a format made up


def write_nothing(network, model, folder):
    (folder / "model.none").write_text("")


@pytest.fixture
def made_up(monkeypatch):
    """A format that writes an empty file, and runtimes that answer as the network, plus `by`."""
    state = {"by": 0.0, "images": 0}
    format = Format("none", "model.none", "nothing", write_nothing, ("numpy", "no-such-package"))
    monkeypatch.setitem(FORMATS, "none", format)
    monkeypatch.setattr(exporting, "predict_program", lambda name: "")

    def logits(folder, images, largest):
        assert (folder / "model.none").is_file()
        with torch.no_grad():
            answers = state["network"](torch.from_numpy(images)).numpy()
        answers[-1, 0] += state["by"]
        state["images"] = len(images)
        return answers

    monkeypatch.setattr(comparing, "_logits", logits)
    return state


@pytest.fixture
def folder(tmp_path, made_up, monkeypatch):
    import nastk_export.card

    monkeypatch.setitem(nastk_export.card.USE, "none", "nothing")
    made_up["network"] = trained(tmp_path / "trained" / "seed-0", "toy").network()
    return tmp_path / "trained"


def test_an_export_is_a_folder_with_its_facts(folder, made_up, tmp_path):
    trained(folder / "seed-1", "toy", seed=1)
    code, out, err = called("export", folder, "-f", "none", "-o", tmp_path / "out", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["largest_difference"] == 0
    assert facts["random_images"] + facts["real_images"] == made_up["images"]
    assert facts["real_images"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "model.none",
        "predict.py",
        "model.json",
        "README.md",
    }
    stored = json.loads((tmp_path / "out" / "model.json").read_text())
    assert stored["export"]["command"] == f"nastk export {folder} -f none -o {tmp_path}/out --json"
    assert set(stored["export"]["libraries"]) == {"numpy"}
    assert stored["export"]["seeds"] == [
        {"seed": 0, "valid_accuracy": 0.9, "test_accuracy": 0.875},
        {"seed": 1, "valid_accuracy": 0.9, "test_accuracy": 0.885},
    ]
    assert TrainedModel.model_validate(stored).test_accuracy == 0.875


def test_the_card_has_a_head_for_hugging_face_and_the_facts_for_people(folder, tmp_path):
    trained(folder / "seed-1", "toy", seed=1)
    nastk_export.export(folder, "none", tmp_path / "out", license="cc-by-4.0", command="nastk ex")
    head, _, text = (
        (tmp_path / "out" / "README.md").read_text().removeprefix("---\n").partition("---\n")
    )
    facts = yaml.safe_load(head)
    assert facts["license"] == "cc-by-4.0"
    assert facts["pipeline_tag"] == "image-classification"
    (result,) = facts["model-index"][0]["results"]
    assert result["metrics"] == [{"type": "accuracy", "value": 0.875}]
    for words in (
        "| test accuracy | 87.50 % |",
        "88.00 ± 0.71 % test accuracy over 2 seeds",
        "| rate | 0.025 |",
        "python predict.py photo.jpg",
        "nastk train runs/a\nnastk ex",
        "largest difference of a logit",
    ):
        assert words in text


@pytest.mark.parametrize("by", [2e-4, float("nan")])
def test_an_export_that_differs_leaves_nothing_behind(by, folder, made_up, tmp_path):
    made_up["by"] = by
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NastkError, match=r"a logit differs by .*, more than 0.0001"):
        nastk_export.export(folder, "none", tmp_path / "out")
    assert sorted(tmp_path.rglob("*")) == before


def test_data_that_are_gone_are_said_and_random_images_compared(tmp_path, made_up, folder):
    options = {"path": str(tmp_path / "gone")}
    changed = json.loads((folder / "seed-0" / "model.json").read_text())
    changed["data"] = {"name": "folder", "options": options}
    (folder / "seed-0" / "model.json").write_text(json.dumps(changed))
    done = nastk_export.export(folder, "none", tmp_path / "out")
    assert done.real == 0
    assert "not at hand" in done.notes[0]
    assert made_up["images"] == 16


def test_no_real_images_are_read_where_none_are_wanted(folder, made_up, tmp_path):
    done = nastk_export.export(folder, "none", tmp_path / "out", real=0)
    assert (done.real, done.notes, made_up["images"]) == (0, (), 16)


def test_a_taken_folder_is_refused_before_anything_is_written(folder, tmp_path):
    (tmp_path / "out").mkdir()
    nastk_export.export(folder, "none", tmp_path / "out")  # an empty folder is no obstacle
    with pytest.raises(ConfigurationError, match=r"out exists already\. Remove it, or choose"):
        nastk_export.export(folder, "none", tmp_path / "out")


def test_an_unknown_format_is_named_with_a_near_miss(folder):
    with pytest.raises(ConfigurationError, match=r"'onx'. Did you mean 'onnx'\?"):
        nastk_export.export(folder, "onx")


class Noisy(torch.nn.Module):
    def forward(self, x):
        return torch.rand(len(x), 3)


def test_random_networks_are_refused(tmp_path):
    with pytest.raises(NastkError, match="other logits at each call"):
        difference(Noisy(), tmp_path, np.zeros((2, 3, 8, 8), np.float32))


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("raise ImportError('no such runtime')", "cannot be loaded again .* no such runtime"),
        ("def load(folder): return lambda images: images[:, 0, 0]", "logits of shape"),
    ],
)
def test_a_runtime_that_fails_is_an_error(program, words, tmp_path):
    (tmp_path / "predict.py").write_text(program)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 3))
    with pytest.raises(NastkError, match=words):
        difference(network, tmp_path, np.zeros((2, 3, 8, 8), np.float32))


@pytest.mark.parametrize(("most", "sizes"), [(None, [1, 2, 7, 64, 6]), (40, [1, 2, 7, 40, 30])])
def test_batches_of_several_sizes_are_compared(most, sizes, tmp_path):
    (tmp_path / "predict.py").write_text(
        "def load(folder):\n"
        "    sizes = open(folder / 'sizes.txt', 'a')\n"
        "    def mean(images):\n"
        "        print(len(images), file=sizes, flush=True)\n"
        "        return images.mean((2, 3))\n"
        "    return mean\n"
    )

    class Mean(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    images = np.random.default_rng(0).random((80, 3, 2, 2)).astype(np.float32)
    assert difference(Mean(), tmp_path, images, most) <= 1e-6
    assert Path(tmp_path, "sizes.txt").read_text().split() == [str(size) for size in sizes]
