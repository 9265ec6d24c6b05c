"""For the tests of `nastk_tables`: a toy table, and small files in the official forms."""

import bz2
import pickle
from collections import OrderedDict
from itertools import product

import numpy as np
import torch

from nastk.testing.toy import EDGES
from nastk_tables.column import Column
from nastk_tables.table import Table

TEXTS = tuple(",".join(each) for each in product(*(edge.operations for edge in EDGES)))
ARCHITECTURES = [
    f"|{name}~0|+|avg_pool_3x3~0|none~1|+|{name}~0|none~1|skip_connect~2|"
    for name in ("none", "skip_connect", "nor_conv_3x3")
]
X, Y, Z = ARCHITECTURES


def toy_table(texts=TEXTS, space="toy", **changes):
    """Test accuracies rise by 0.1, valid ones by 0.05; the middle valid one is missing."""
    steps = np.arange(len(texts))
    columns = {
        Column("accuracy", "%", "cifar10", "test", 200, seeds=(777, 888)): 10 + 0.1 * steps,
        Column("accuracy", "%", "cifar10", "valid", 200): 20 + 0.05 * steps,
        Column("accuracy", "%", "cifar10", "test", 200, seed=777): 11 + 0.1 * steps,
        Column("accuracy", "%", "cifar10", "test", 12): 5 + 0 * steps,
        Column("accuracy", "%", "imagenet16", "test", 200): 40 - 0.01 * steps,
        Column("parameters", "M", "cifar10"): 0.101306 + 0 * steps,
        Column("parameters", "M", "imagenet16"): 0.2 + 0 * steps,
        Column("train_seconds", "s", "cifar10", "valid", 200): 1000.0 + steps,
        Column("pass_seconds", "s", "cifar10", "valid", 200): 2.5 + 0 * steps,
        Column("latency_fpga", "ms"): np.where(steps % 2, np.nan, 4.0),
    }
    values = np.stack(list(columns.values())).astype(np.float32)
    values[1, len(texts) // 2] = np.nan
    whole = {"columns": tuple(columns), "values": values, "sources": ("made.csv",), **changes}
    return Table(space, tuple(texts), **whole)


def written(folder, content, name="a.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def run(seed, epochs, accuracies, scale, times=True, weights=None):
    """One run as the benchmark's files hold it: one accuracy for each evaluation set and epoch."""
    steps = range(epochs)
    return {
        "name": "a",
        "seed": f"{seed:04d}",
        "epochs": epochs,
        "params": np.float64(0.1 * scale),
        "flop": 10.0 * scale,
        "latency": [np.float64(0.004 * scale), 0.006 * scale],
        "train_acc1es": dict.fromkeys(steps, 99.0),
        "train_times": OrderedDict((step, 2.0 * scale) for step in steps) if times else None,
        "arch_config": {"channel": 16, "num_cells": 5},
        "eval_names": list(accuracies),
        "eval_acc1es": {
            f"{name}@{step}": value if step == epochs - 1 else 1.0
            for name, value in accuracies.items()
            for step in steps
        },
        "eval_times": {f"{name}@{step}": 0.5 * scale for name in accuracies for step in steps},
        "net_state_dict": weights,
    }


def results(index, epochs, seeds, **changes):
    """The runs of one architecture under one schedule. Accuracies are sums that tests can redo."""
    sets = {
        "cifar10-valid": {"x-valid": 20, "ori-test": 1},
        "cifar10": {"ori-test": 30},
        "cifar100": {"ori-test": 1, "x-valid": 40, "x-test": 50},
        "ImageNet16-120": {"ori-test": 1, "x-valid": 60, "x-test": 70},
    }
    offsets = {seed: place for place, seed in enumerate(seeds)}
    return {
        "arch_index": index,
        "arch_str": ARCHITECTURES[index],
        "all_results": OrderedDict(
            (
                (trained, seed),
                run(
                    seed,
                    epochs,
                    {name: base + index + offsets[seed] for name, base in evaluated.items()},
                    index + 1,
                    **changes,
                ),
            )
            for trained, evaluated in sets.items()
            for seed in seeds
        ),
        "dataset_seed": {trained: list(seeds) for trained in sets},
        "clear_net_done": True,
    }


def record(index, keys=("12", "200"), **changes):
    return OrderedDict(
        [
            (keys[0], results(index, 2, [111], **changes)),
            (keys[1], results(index, 3, [777, 888, 999][: 3 - index], **changes)),
        ]
    )


def whole(**changes):
    return {
        "meta_archs": ARCHITECTURES,
        "arch2infos": {index: record(index, **changes) for index in (2, 0, 1)},
        "evaluated_indexes": {0, 1, 2},
    }


def packed(path, content):
    with bz2.open(path, "wb") as file:
        pickle.dump(content, file, protocol=4)
    return path


def folder(path, indices=(0, 1, 2)):
    path.mkdir()
    meta = {"meta_archs": ARCHITECTURES, "total_archs": 3, "arch2infos": None}
    packed(path / "meta.pickle.pbz2", {**meta, "evaluated_indexes": set()})
    for index in indices:
        packed(path / f"{index:06d}.pickle.pbz2", record(index))
    return path


def nats_folder(path):
    return folder(path / "NATS-tss-simple")


def nats_file(path):
    return packed(path / "NATS-tss.pickle.pbz2", whole())


def torch_zip(path):
    torch.save(whole(keys=("less", "full")), path / "NAS-Bench-201.pth")
    return path / "NAS-Bench-201.pth"


def torch_legacy(path):
    weights = OrderedDict(stem=torch.ones(3), head=torch.nn.Parameter(torch.ones(2, 2)))
    content = whole(keys=("less", "full"), weights=weights)
    torch.save(content, path / "old.pth", _use_new_zipfile_serialization=False)
    return path / "old.pth"


KINDS = [nats_folder, nats_file, torch_zip, torch_legacy]
