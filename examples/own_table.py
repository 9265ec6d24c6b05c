"""A benchmark of one's own: all networks of a space are trained, and searches are judged by them.

python own_table.py build                      trains 256 networks twice
python own_table.py search --updater shapley   searches, and says how well it ranks the networks
"""

import argparse
from pathlib import Path

import torch
from torch import nn

import nastk
from nastk.cli import seed_range
from nastk_tables.request import BuildRequest

RECIPE = "batch_size=32,learning_rate=0.1,weight_decay=0.0005"
BESIDE = Path(__file__).with_name("own_table.table")


def convolution(channels: int, groups: int = 1) -> nn.Module:
    """A layer of the network, of any kind that keeps the form of its input."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
    )


def layer(channels: int) -> nastk.Choice:
    """A layer that is still to be decided."""
    return nastk.Choice(
        conv=convolution(channels),
        depthwise=convolution(channels, groups=channels),
        pool=nn.AvgPool2d(3, 1, 1),
        skip=nn.Identity(),
    )


class Chain(nn.Module):
    """Four layers in a row, each a convolution, a depthwise one, a pool or nothing."""

    def __init__(self, task: nastk.Task, channels: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(task.channels, channels, 3, padding=1)
        self.first, self.second = layer(channels), layer(channels)
        self.third, self.fourth = layer(channels), layer(channels)
        self.head = nn.Linear(channels, task.classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        features = self.second(self.first(self.stem(images)))
        return self.head(self.fourth(self.third(features)).mean((2, 3)))


def build(asked: argparse.Namespace) -> None:
    """Train the networks and write the table; go on where an earlier process was stopped."""
    request = BuildRequest(
        "chain",
        asked.data,
        data_options=["train_fraction=0.2"],
        evaluator=f"retrain,epochs={asked.epochs},{RECIPE}",
        seeds=seed_range(asked.seeds),
        sample=asked.sample,
        to=asked.table,
    )
    building = request.building()
    progress = request.train(building)
    if progress.done == progress.total:  # other processes may be at work on the rest
        best, accuracy = request.written(building).scores(asked.data, "valid", asked.epochs).best()
        print(f"the best      {best}, {accuracy:.1f} % of the valid images")


def search(asked: argparse.Namespace) -> None:
    """Search the space, and compare how the search ranks networks with how they were trained."""
    result = nastk.search(
        "chain",
        asked.updater,
        asked.data,
        epochs=asked.epochs,
        preset="quick",
        seed=seed_range(asked.seeds)[0],
        evaluators=[nastk.use("table", table=str(asked.table), split="valid")],
        ranking={
            "evaluator_options": {"table": str(asked.table)},
            "metric": "table_valid_accuracy",
        },
        out=asked.out,
    )
    print("found        ", result.text)
    print("in the table ", result.evaluation)
    ranked = [event for event in result.history if event["kind"] == "ranked"][-1]
    for ranker, found in ranked["by"].items():
        if found is not None:
            tau = found["kendall"]
            print(f"tau {ranker:<14}{tau['value']:.2f} ({tau['low']:.2f} to {tau['high']:.2f})")


def main(arguments: list[str] | None = None) -> None:
    """Build the table, or search the space and hold the search against the table."""
    parser = argparse.ArgumentParser(description="A benchmark of one's own.")
    parser.add_argument("what", choices=("build", "search"))
    parser.add_argument("--table", type=Path, default=BESIDE)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=30, help="of each training or of the search")
    parser.add_argument("--seeds", default="0-1", help="of the trainings; a search has the first")
    parser.add_argument("--sample", type=int, default=None, help="so many networks, not all")
    parser.add_argument("--updater", default="random")
    parser.add_argument("--out", default=None, help="the run folder; a new one in runs/ if unset")
    asked = parser.parse_args(arguments)

    nastk.register(nastk.space_of(Chain))
    (build if asked.what == "build" else search)(asked)


if __name__ == "__main__":
    main()
