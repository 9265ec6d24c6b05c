"""How supernets go on to rank when they train for millions of images: curves of two updaters.

    python docs/studies/long_supernets.py rows RUN [RUN ...]
    python docs/studies/long_supernets.py draw

A run is the folder of a search with `--ranking table -r every=N` (the commands stand in the page
"The cheapest supernet that ranks"). `rows` appends the rankings of each run that
`long_supernets.csv` lacks, also of a run that is still under way; `draw` draws tau over training
images from it, and prints the table of the page.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import study_results
import typer
from cheapest_supernet import AGREEMENT, agreement, in_words

from nastk.cli import run_records
from nastk.report import RunRecord

HERE = Path(__file__).parent
RESULTS, PICTURE = HERE / "long_supernets.csv", HERE / "long-supernets.svg"
FIELDS = [
    "space",
    "updater",
    "seed",
    "epoch",
    "images",
    "cpu_seconds",
    "architectures",
    *AGREEMENT,
    "tau_multiply_adds",
]
COUNTS = {"parameters": "--", "multiply_adds": ":"}
"""The rankers that know nothing but the architecture, and their lines in the picture."""

app = typer.Typer(add_completion=False)


def rankings(run: RunRecord) -> Iterator[dict[str, Any]]:
    """Yields a row of the CSV for every ranking of a search."""
    key = {
        "space": run.config["space"]["name"],
        "updater": run.config["updater"]["name"],
        "seed": run.config["seed"],
    }
    epochs = {event["epoch"]: event for event in run.history if event["kind"] == "epoch-done"}
    for event in run.history:
        if event["kind"] == "ranked":
            done = epochs[event["epoch"]]
            # An image counts once for each path that it trains.
            cost = {"images": done["images_backward"], "cpu_seconds": round(done["cpu_seconds"])}
            yield {**key, "epoch": event["epoch"], **cost, **taus(event["by"])}


def taus(by: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a ranking found, in the columns of the CSV."""
    counted = round(by["multiply_adds"]["kendall"]["value"], 4)
    found = {**agreement(by), "tau_multiply_adds": counted}
    return {"architectures": by["supernet"]["architectures"], **found}


@app.command()
def rows(runs: list[Path]) -> None:
    """Append the rankings that the CSV lacks."""
    for path in runs:
        (run,) = run_records(path)
        for row in rankings(run):
            key = {name: str(row[name]) for name in ("space", "updater", "seed", "epoch")}
            if not study_results.read(RESULTS, **key):
                study_results.append(RESULTS, FIELDS, row)
                print(row)


@app.command()
def draw() -> None:
    """Draw tau over training images, and print the rankings as Markdown."""
    import matplotlib.pyplot as plt

    measured = study_results.read(RESULTS)
    spaces = sorted({row["space"] for row in measured})
    figure, panels = plt.subplots(
        2,
        len(spaces),
        figsize=(7.2, 5.4),
        sharex="col",
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for space, (whole, tenth) in zip(spaces, panels.T, strict=True):
        of_space = study_results.read(RESULTS, space=space)
        for colour, updater in enumerate(sorted({row["updater"] for row in of_space})):
            draw_curve(
                (whole, tenth), [row for row in of_space if row["updater"] == updater], colour
            )
        for name, line in COUNTS.items():
            known = float(of_space[-1][f"tau_{name}"])
            label = f"{name.replace('_', '-')}, no search"
            whole.axhline(known, color="tab:gray", linestyle=line, linewidth=1, label=label)
        tenth.axhline(0, color="tab:gray", linewidth=0.8)
        whole.set_title(space, fontsize=9, loc="left")
        tenth.set_xlabel("training images, millions")
    panels[0, 0].set_ylabel("Kendall's tau")
    panels[1, 0].set_ylabel("tau in the best tenth")
    panels[0, 0].legend(frameon=False, fontsize=8)
    for axes in panels.flat:
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE)
    print_table(measured)


def draw_curve(axes: Any, curve: list[dict[str, str]], colour: int) -> None:
    """Draw a run's tau with its interval, and below it that of the best tenth."""
    whole, tenth = axes
    millions = [int(row["images"]) / 1e6 for row in curve]
    tau, low, high, best = (
        [float(row[name]) for row in curve]
        for name in ("tau", "tau_low", "tau_high", "tau_best_tenth")
    )
    style = {"color": f"C{colour}", "marker": "o", "markersize": 3}
    whole.plot(millions, tau, label=curve[0]["updater"], **style)
    whole.fill_between(millions, low, high, color=f"C{colour}", alpha=0.15, linewidth=0)
    tenth.plot(millions, best, **style)


def print_table(measured: list[dict[str, str]]) -> None:
    """Print the rankings as a Markdown table."""
    heads = ("space", "updater", "images", "CPU seconds", "tau [95 %]", "two halves", "best tenth")
    print(study_results.head(heads))
    for row in measured:
        print(
            f"| `{row['space']}` | `{row['updater']}` | {int(row['images']) / 1e6:.1f} M | "
            f"{int(row['cpu_seconds']):,} | {in_words(row, 'halves', 'tau_best_tenth')} |"
        )


if __name__ == "__main__":
    app()
