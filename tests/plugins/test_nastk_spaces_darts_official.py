"""Weights of the authors' supernets in ours: their names, their logits, their logged accuracies.

`golden/robustdarts_logits.json` was made once with the authors' code (RobustDARTS at 3dec3fe, in
float64, in evaluation mode) on the images of `waves`. The weights are no part of nastk: tests that
need them look in NASTK_SHARED, or in `../shared/data`, for the folder `robustdarts`.
"""

import ast
import csv
import gzip
import io
import json
import os
import tarfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import kendalltau

import nastk
from nastk import Augmentation, Mixture, Split, Task, catalogue
from nastk.data import stream
from nastk_spaces_darts.official_names import own_name

HERE = Path(__file__).parents[1]
BESIDE = HERE.parents[1] / "shared" / "data"
FOLDER = Path(os.environ.get("NASTK_SHARED", BESIDE)) / "robustdarts"
GOLDEN = json.loads((HERE / "golden" / "robustdarts_logits.json").read_text())
CIFAR = Task(10, 3, 32)

NAMES = [
    ("stem.0.weight", "stem.layers.0.0.weight"),
    ("stem.1.running_var", "stem.layers.0.1.running_var"),
    ("cells.0.preprocess0.op.1.weight", "cells.0.preprocess0.1.weight"),
    ("cells.1.preprocess1.op.2.running_mean", "cells.1.preprocess1.2.running_mean"),
    ("cells.2.preprocess0.conv_2.weight", "cells.2.preprocess0.1.second.weight"),
    ("cells.2.preprocess0.bn.running_mean", "cells.2.preprocess0.1.norm.running_mean"),
    ("cells.0._ops.3._ops.1.op.1.weight", "cells.0.edges.3.1.stages.0.depthwise.weight"),
    ("cells.0._ops.3._ops.1.op.6.weight", "cells.0.edges.3.1.stages.1.pointwise.weight"),
    ("cells.0._ops.3._ops.1.op.7.running_var", "cells.0.edges.3.1.stages.1.norm.running_var"),
    ("cells.1._ops.4._ops.0.conv_1.weight", "cells.1.edges.4.0.stages.0.first.weight"),
    ("cells.0._ops.5._ops.0.1.running_mean", "cells.0.pool_norms.0.max_pool.running_mean"),
    ("cells.0._ops.10._ops.0.1.running_mean", "cells.0.pool_norms.1.max_pool.running_mean"),
    ("classifier.bias", "classifier.bias"),
    ("cells.0.edges.3.1.stages.0.depthwise.weight", "cells.0.edges.3.1.stages.0.depthwise.weight"),
]


def made(space, **options):
    found = catalogue().load("space", space)
    return found(found.parse_options(options))


@pytest.mark.parametrize(("theirs", "ours"), NAMES)
def test_names_of_the_authors_code(theirs, ours):
    supernet = made("s1", channels=4, cells=3).supernet(Task(3, 3, 8))
    assert supernet.own_name(theirs) == ours


def waves():
    """Four images that any machine makes alike."""
    grid = torch.meshgrid(*(torch.arange(float(n)) for n in (4, 3, 32, 32)), indexing="ij")
    image, channel, row, column = grid
    phase = 0.9 * image + 1.7 * channel + 0.31 * row + 0.23 * column * (1 + 0.1 * image)
    return torch.sin(phase) + 0.5 * torch.cos(0.11 * row * column / 8 + channel)


@cache
def official(space):
    """The supernet with the authors' weights, and its running statistics."""
    path = FOLDER / f"{space}_cifar10.safetensors"
    if not path.exists():
        pytest.skip(f"{path.name} is not here (NASTK_SHARED, or ../shared/data, has robustdarts/)")
    found = made(space)
    supernet = found.supernet(CIFAR)
    return found, supernet, nastk.load_weights(supernet, path), path


def mixture_of(space, text):
    """The operations that an architecture of the log chose, `none` included."""
    active = torch.zeros(space.full().mask.shape, dtype=torch.bool)
    for cell, chosen in enumerate(ast.literal_eval(text)):
        for number, (source, column) in enumerate(chosen):
            node = number // 2
            active[14 * cell + node * (node + 3) // 2 + source, column] = True
    return Mixture(active.float(), active)


@pytest.mark.parametrize("space", GOLDEN)
def test_the_authors_weights_give_the_authors_logits(space):
    found, supernet, frozen, _ = official(space)
    for row in GOLDEN[space]:
        with torch.no_grad(), frozen.applied():
            logits = supernet(waves(), mixture_of(found, row["architecture"]))
        torch.testing.assert_close(logits, torch.tensor(row["logits"]), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("space", ["s1", "s2", "s3", "s4"])
def test_every_weight_of_the_file_arrives(space):
    _, supernet, _, path = official(space)
    theirs = {name: value for name, value in load_file(path).items() if "running" not in name}
    assert len(theirs) == len(list(supernet.parameters()))
    own = dict(supernet.named_parameters())
    for name, value in theirs.items():
        assert torch.equal(own[own_name(name, supernet)], value), name


AS_LOGGED = Augmentation(
    mean=(0.49139968, 0.48215827, 0.44653124),
    std=(0.24703233, 0.24348505, 0.26158768),
    crop_padding=4,
    flip=True,
)
"""What the images of the log went through: the held-out half was cropped and mirrored too."""

COMPARED = {"s1": (25, 0.5), "s2": (25, 0.6), "s3": (25, 0.7), "s4": (100, 0.5)}
"""For each space: every how many architectures of the log one is measured, and the least tau."""


def once_more(image):
    """The image through JPEG of quality 75 again, as this copy of CIFAR-10 was made.

    Four pixels off its blocks, since on the same blocks it would lose next to nothing.
    """
    padded, file = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="edge"), io.BytesIO()
    Image.fromarray(padded).save(file, "JPEG", quality=75)
    with Image.open(file) as copy:
        return np.array(copy)[4:-4, 4:-4]


@cache
def held_out(copies):
    """Batches of every twentieth test image of CIFAR-10 (as JPEG), or of copies of these copies."""
    path = FOLDER.parent / "cifar10-jpeg.tar.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here (its folder: NASTK_SHARED, or ../shared/data)")
    images, labels = [], []
    with tarfile.open(path) as archive:
        members = {one.name.removeprefix("./"): one for one in archive.getmembers()}
        names = sorted(name for name in members if name.startswith("test/") and "." in name)[::20]
        classes = sorted({name.split("/")[1] for name in names})
        for name in names:
            with Image.open(archive.extractfile(members[name])) as image:
                pixels = np.array(image)
            images.append(torch.from_numpy(once_more(pixels) if copies else pixels))
            labels.append(classes.index(name.split("/")[1]))
    split = Split(torch.stack(images).permute(0, 3, 1, 2), torch.tensor(labels), AS_LOGGED)
    return list(stream(split, 100, 0, "held out").epoch(0))


def hits(space, rows, copies=False):
    """Architectures x images: 1.0 where the path with these weights is right."""
    found, supernet, frozen, _ = official(space)
    correct = []
    with torch.no_grad(), frozen.applied():
        for row in rows:
            mixture = mixture_of(found, row["architecture"])
            answers = [(supernet(x, mixture).argmax(1) == y) for x, y in held_out(copies)]
            correct.append(torch.cat(answers).float())
    return torch.stack(correct)


@pytest.mark.slow
@pytest.mark.parametrize("space", COMPARED)
def test_logged_architectures_have_the_accuracies_of_the_authors_log(space):
    """They rank alike, and what is missing to the mean is what JPEG takes, once more, of these.

    The mean is as uncertain as 500 images are, all the same for every architecture.
    """
    official(space)
    with gzip.open(FOLDER / f"{space}_cifar10_logged.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))[:: COMPARED[space][0]]
    ours = hits(space, rows)
    theirs = torch.tensor([float(row["valid_accuracy_10_batches"]) / 100 for row in rows])
    tau = kendalltau(ours.mean(1), theirs).statistic
    some = ours[::5]
    lost_again = some - hits(space, rows[::5], copies=True)  # architectures x images
    missing = (theirs[:, None] - ours).mean(0) - lost_again.mean(0)  # images
    print(
        f"{space}: tau {tau:+.3f} over {len(rows)}, means {100 * ours.mean():.2f} and "
        f"{100 * theirs.mean():.2f} %, JPEG once more costs {100 * lost_again.mean():.2f} points"
    )
    assert tau > COMPARED[space][1]
    assert missing.mean().abs() < max(0.015, 3 * missing.std() / missing.numel() ** 0.5)
