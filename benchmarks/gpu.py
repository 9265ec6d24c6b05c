"""The GPU check: `python -m benchmarks gpu --out FOLDER [--images FOLDER] [--minutes 10]`.

In this order, each part written to the folder as soon as it is known:

tests    the tests marked `gpu`
parity   logits and gradients of both supernets on the device beside those on the CPU
speed    weight steps: the textbook eager in fp32, and ours in fp32, bf16, and with CUDA graphs
search   Shapley-NAS's published search on NAS-Bench-201, as far as the time goes; a second call
         goes on with it

Without a device everything runs in miniature on the CPU: whether it runs, not how fast.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from benchmarks.pairing import Pair
from benchmarks.parity import distance, relative
from benchmarks.reference.training import Images, optimizer_of, training_step
from nastk import ConfigurationError
from nastk_reproduction.cards import card
from nastk_reproduction.running import request as published_request

SPACES = ("darts", "nasbench201")
PUBLISHED = "shapley-nasbench201-cifar10"
"""The reproduction card of the search."""
VARIANTS = ("textbook", "ours", "ours, bf16", "ours, graphs", "ours, bf16, graphs")
RESERVE = 20.0
"""Seconds kept for writing a checkpoint and the tables."""


@dataclass(frozen=True)
class Check:
    """What is checked, where, and for how long; `device` is `cuda` or `cpu`.

    Example: `Check(Path("out"), None, minutes=10, device="cuda").run()`
    """

    out: Path
    images: Path | None
    minutes: float
    device: str = field(default_factory=lambda: "cuda" if torch.cuda.is_available() else "cpu")

    @property
    def miniature(self) -> bool:
        """True without a device: tiny nets, a few steps."""
        return self.device == "cpu"

    def run(self) -> dict[str, Any]:
        """Every part in turn; what fails is noted, and the next part begins.

        Raises:
            ConfigurationError: the folder cannot be written, or the images are none.
        """
        end = perf_counter() + 60 * self.minutes
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"--out {self.out}: {error}. Choose another folder.") from None
        if self.images is not None and not self.images.is_dir():
            raise ConfigurationError(f"--images {self.images} is no folder of images.")
        found: dict[str, Any] = {"machine": self.machine(), "minutes": self.minutes}
        for name, part in (
            ("tests", self.tests),
            ("parity", self.parity),
            ("speed", self.speed),
            ("search", lambda: self.search(end - perf_counter())),
        ):
            began = perf_counter()
            try:
                found[name] = part()
            except Exception as error:  # one part's defect must not cost the others' figures
                found[name] = {"failed": f"{type(error).__name__}: {error}"}
            found[f"{name}_seconds"] = round(perf_counter() - began, 1)
            (self.out / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
        (self.out / "gpu.md").write_text("\n".join(markdown(found)) + "\n")
        return found

    def machine(self) -> dict[str, Any]:
        """What it runs on."""
        cuda = self.device == "cuda"
        return {
            "device": torch.cuda.get_device_name() if cuda else "none: a miniature on the CPU",
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version() if cuda else None,  # type: ignore[no-untyped-call]
            "tf32": torch.backends.cuda.matmul.allow_tf32,
        }

    def tests(self) -> dict[str, Any]:
        """The tests marked `gpu`, in a process of their own; they skip themselves without one."""
        tests = Path(__file__).parent.parent / "tests"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n", "0", "-rfE", "--tb=line"]
        asked = [*command, str(tests / "test_cuda.py")]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=tests.parent)
        (self.out / "tests.txt").write_text(done.stdout + done.stderr)
        lines = done.stdout.strip().splitlines() or [done.stderr.strip()[-200:]]
        return {"exit_status": done.returncode, "summary": lines[-1]}

    def parity(self) -> dict[str, dict[str, float]]:
        """Relative differences between this device and the CPU, in fp32, for each space."""
        return {space: apart(self.pair(space, 8), self.device) for space in SPACES}

    def speed(self) -> list[dict[str, Any]]:
        """A row for each space, batch and variant: images a second and peak memory (bytes)."""
        rows = []
        for space in SPACES:
            for batch in (4,) if self.miniature else (64, 256):
                rows += self._speeds(space, batch)
        return rows

    def _speeds(self, space: str, batch: int) -> list[dict[str, Any]]:
        pair, rows = self.pair(space, batch), []
        for name in VARIANTS:
            row: dict[str, Any] = {"space": space, "batch": batch, "variant": name}
            if "graphs" in name and self.miniature:
                rows.append(row | {"skipped": "CUDA graphs need a device"})
                continue
            step = stepping(pair, self.device, name)
            try:
                row |= timed(step, batch, self.device, runs=2 if self.miniature else 12)
            except Exception as error:  # a variant that fails leaves the others their figures
                row["failed"] = f"{type(error).__name__}: {error}"
            step.close()  # its network goes, so that the next one's memory is its own
            rows.append(row)
        base = rows[0].get("images_per_second")
        return [
            row | {"ratio": round(row["images_per_second"] / base, 2)}
            if base and "images_per_second" in row
            else row
            for row in rows
        ]

    def pair(self, space: str, batch: int) -> Pair:
        """Both sides at the papers' sizes, or in miniature."""
        if self.miniature:
            tiny = {"channels": 4, "cells": 3, "nodes": 2} if space == "darts" else {"cells": 1}
            return Pair(space, {"channels": 4, **tiny}, 8, min(batch, 4), threads=1)
        return Pair(space, {"channels": 16, "cells": 8 if space == "darts" else 5}, 32, batch)

    # ------------------------------------------------------------------ the search

    def search(self, seconds: float) -> dict[str, Any]:
        """Begin the search, or go on with it, for so many seconds; then it is stopped cleanly."""
        folder, config = self.out / "search", self.out / "search.json"
        if self.images is None and not self.miniature:
            return {"skipped": "no images: give --images FOLDER (CIFAR-10 as a folder)"}
        if not config.exists():
            config.write_text(json.dumps(self.request(), indent=1) + "\n")
        begun = (folder / "config.json").exists()
        command = ["resume", str(folder)] if begun else ["search", "--config", str(config)]
        command += [] if begun else ["--out", str(folder)]
        done = for_a_while([sys.executable, "-m", "nastk", *command, "--quiet"], seconds - RESERVE)
        (self.out / "search.txt").write_text(done)
        return {"seconds": round(seconds), **progress(folder)}

    def request(self) -> dict[str, Any]:
        """The published search on these images; in miniature a tiny one on digits."""
        if self.miniature:
            tiny = {"name": "nasbench201", "options": {"channels": 4, "cells": 1}}
            few = {"name": "shapley", "options": {"samples": 1, "batch_size": 32, "warmup": 0}}
            data = {"name": "digits", "options": {"limit": 200}}
            trainer = {"epochs": 2, "batch_size": 32, "threads": 1}
            return {"space": tiny, "updater": few, "data": data, "trainer": trainer}
        published = published_request(card(PUBLISHED), data=f"folder:{self.images}")
        parts = {key: published[key] for key in ("space", "updater", "data", "trainer")}
        return {**parts, "device": self.device, "seed": 0}


def apart(pair: Pair, device: str) -> dict[str, float]:
    """How far logits and gradients of ours and of the textbook on `device` are from a CPU's."""
    ours, textbook = pair.both()
    there, textbook_there = pair.ours(device=device), pair.reference().to(device)
    there.branch.supernet.load_state_dict(ours.branch.supernet.state_dict())
    textbook_there.load_state_dict(textbook.state_dict())
    mixture, batch = pair.mixture(0), pair.batch(0)
    with torch.no_grad():
        logits = ours.probe.logits(mixture, batch.images)
        moved = there.probe.logits(mixture.to(device), batch.images.to(device)).cpu()
    own = ours.probe.gradients(mixture, batch)
    gradients = there.probe.gradients(mixture.to(device), on(batch, device))
    theirs = [
        relative(moved, logits),
        distance([gradients[name].cpu() for name in own], list(own.values())),
    ]
    with torch.no_grad():
        expected = textbook(pair.images(0).images, mixture.weights)
        found = textbook_there(pair.images(0).images.to(device), mixture.weights.to(device)).cpu()
    names = ("logits", "gradients", "textbook_logits")
    return dict(zip(names, [*theirs, relative(found, expected)], strict=True))


def stepping(pair: Pair, device: str, variant: str) -> Generator[None, None, None]:
    """A weight step for each `next`: the textbook's, or ours in one of the variants."""
    if variant == "textbook":
        network = pair.reference().to(device)
        optimizer = optimizer_of(network)
        alpha = pair.alpha(0).to(device).requires_grad_()
        batches = [Images(*on(pair.images(run), device)) for run in range(2)]
        run = 0
        while True:
            training_step(network, optimizer, alpha, batches[run % 2])
            run += 1
            yield
    ours = pair.ours("bf16" in variant, device=device, graphs="graphs" in variant)
    ours.updater.alpha = pair.alpha(0).to(device).requires_grad_()
    while True:
        ours.step()
        yield


def on(batch: Any, device: str) -> Any:
    """A batch on `device`."""
    return type(batch)(*(tensor.to(device) for tensor in batch))


def timed(step: Iterator[None], batch: int, device: str, runs: int) -> dict[str, Any]:
    """Images a second (median of `runs` stretches of steps), and the peak memory in bytes."""
    cuda = device == "cuda"
    wait: Callable[[], object] = torch.cuda.synchronize if cuda else lambda: None
    stretch = 10 if cuda else 1
    for _ in range(3 * stretch):  # kernels are chosen, graphs captured, the optimiser has its state
        next(step)
    wait()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(runs):
        began = perf_counter()
        for _ in range(stretch):
            next(step)
        wait()
        seconds.append((perf_counter() - began) / stretch)
    peak = torch.cuda.max_memory_allocated() if cuda else 0
    return {
        "images_per_second": round(batch / median(seconds), 1),
        "step_milliseconds": round(1000 * median(seconds), 3),
        "peak_memory": peak,
    }


def for_a_while(command: list[str], seconds: float) -> str:
    """Run a command for at most so many seconds, then ask it to stop as Ctrl-C does; its output."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ}
    )
    try:
        said, _ = process.communicate(timeout=max(seconds, 1.0))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
    return said


def progress(folder: Path) -> dict[str, Any]:
    """How far a search has come: epochs trained, images a second, the decision as of now."""
    if not (folder / "events.jsonl").exists():
        return {"failed": "the search did not begin; see search.txt"}
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    epochs = [event for event in events if event["kind"] == "epoch-done"]
    if not epochs:
        return {"epochs": 0}
    last = epochs[-1]
    ended = any(event["kind"] == "run-finished" for event in events)
    return {
        "epochs": last["epoch"],
        "finished": ended,
        "images": last["images_forward"],
        "images_per_second": round(last["images_forward"] / max(last["seconds"], 1e-9)),
        "accuracy": round(last["accuracy"], 4),
        "architecture": last["architecture"],
    }


def markdown(found: dict[str, Any]) -> list[str]:
    """What was found, as a page's lines."""
    machine = found["machine"]
    lines = [f"{machine['device']}, torch {machine['torch']}, CUDA {machine['cuda']}", ""]
    lines += [f"Tests: {found['tests']}", "", f"Parity with the CPU: {found['parity']}", ""]
    if isinstance(found["speed"], list):
        lines += [
            "| space | batch | variant | images / s | ratio | peak memory, MiB |",
            "|---" * 6 + "|",
        ]
        for row in found["speed"]:
            figures = [row.get("images_per_second", said(row)), row.get("ratio", "")]
            memory = f"{row['peak_memory'] / 2**20:.0f}" if "peak_memory" in row else ""
            cells = [row["space"], row["batch"], row["variant"], *figures, memory]
            lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return [*lines, "", f"Search: {found['search']}"]


def said(row: dict[str, Any]) -> str:
    """Why a row has no figures."""
    return str(row.get("failed") or row.get("skipped"))


def check(out: Path, images: Path | None, minutes: float) -> bool:
    """Run the check and print its table; True if nothing failed.

    Raises:
        ConfigurationError: see `Check.run`.
    """
    found = Check(out, images, minutes).run()
    console = Console(highlight=False)
    shown = Table(title=f"{found['machine']['device']}: weight steps")
    for name in ("space", "batch", "variant", "images / s", "ratio"):
        shown.add_column(name)
    rows = found["speed"] if isinstance(found["speed"], list) else []
    for row in rows:
        figure = row.get("images_per_second", said(row))
        cells = (row["space"], row["batch"], row["variant"], figure, row.get("ratio", ""))
        shown.add_row(*map(str, cells))
    console.print(shown)
    for name in ("tests", "parity", "search"):
        console.print(f"{name}: {found[name]}", markup=False)
    return found["tests"].get("exit_status") in (0, 5) and not any(
        "failed" in part for part in [found["parity"], found["search"], *rows]
    )
