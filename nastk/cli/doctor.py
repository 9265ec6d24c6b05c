"""`nastk doctor`: what this machine has, what is missing, and the command that mends it."""

import importlib.metadata
import os
import platform
import shutil
from typing import Any, cast

from nastk.base.plugins import catalogue
from nastk.cli import convolutions, output
from nastk.report.numbers import counted

LIBRARIES = (
    "torch",
    "torchvision",
    "numpy",
    "pydantic",
    "typer",
    "rich",
    "pluggy",
    "safetensors",
    "matplotlib",
)


def doctor(json: bool) -> None:
    """Print the findings: a line each, with advice where something is missing."""
    findings = examine()
    if json:
        output.print_json(findings)
        return
    for one in findings:
        # What is fine and has advice all the same is there to be had.
        sign = "LACK" if not one["ok"] else "note" if one["advice"] else "ok  "
        output.line(f"{sign}  {one['what']:<22} {one['found']}")
        if one["advice"]:
            output.line(f"      -> {one['advice']}")


def examine() -> list[dict[str, Any]]:
    """Every finding as {what, found, ok, advice}."""
    return [_python(), *_libraries(), *_torch(), _disk(), _data(), *_plugins(), *_of_plugins()]


def _finding(what: str, found: str, ok: bool = True, advice: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "ok": ok, "advice": advice}


def _python() -> dict[str, Any]:
    return _finding(
        "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )


def _libraries() -> list[dict[str, Any]]:
    findings = []
    for name in ("nastk", *LIBRARIES):
        try:
            findings.append(_finding(name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(_finding(name, "not installed", False, f"pip install {name}"))
    return findings


def _torch() -> list[dict[str, Any]]:
    try:
        import torch
    except Exception as error:
        # A broken install fails in many ways, all of which end in the same advice.
        return [
            _finding(
                "torch imports",
                f"{type(error).__name__}: {error}",
                False,
                "pip install -U torch torchvision",
            )
        ]
    findings = []
    try:
        import torchvision

        findings.append(_finding("torchvision imports", torchvision.__version__))
    except Exception as error:
        # See above: typically a CPU-only torch beside the ordinary torchvision.
        advice = "pip install --force-reinstall torch torchvision"
        findings.append(
            _finding("torchvision imports", f"{type(error).__name__}: {error}", False, advice)
        )
    cuda = torch.cuda.is_available()
    if cuda:
        names = ", ".join(
            torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())
        )
        findings.append(
            _finding("cuda", f"{names}; bf16 {'yes' if torch.cuda.is_bf16_supported() else 'no'}")
        )
    else:
        findings.append(_finding("cuda", "no device; searches run on the CPU"))
    return [
        *findings,
        _finding("cpu threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores"),
        *_convolutions(),
    ]


def _convolutions() -> list[dict[str, Any]]:
    """Whether this machine's CPU library computes gradients right, in nastk and beside it."""
    found = [
        _finding(
            "convolutions",
            f"{fault.kind.words}: the gradient {fault.what}",
            False,
            "do not trust runs on this CPU; set ONEDNN_MAX_CPU_ISA=SSE41 or try another version "
            "of torch, and ask again",
        )
        for fault in convolutions.faults(convolutions.USED)
    ]
    count = len(convolutions.USED)
    found = found or [_finding("convolutions", f"gradients of {count} kinds are right")]
    for fault in convolutions.faults(convolutions.AVOIDED):
        what = f"{fault.kind.words} from few channels: the gradient {fault.what}; nastk avoids it"
        advice = "in a loop of your own write F.conv2d(x[..., ::2, ::2], weight)"
        found.append(_finding("convolutions", what, advice=advice))
    return found


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(".").free / 2**30
    return _finding(
        "free disk here",
        f"{free:.1f} GiB",
        free >= 1,
        "" if free >= 1 else "make room, or use --out elsewhere",
    )


def _data() -> dict[str, Any]:
    place = os.environ.get("NASTK_DATA") or os.path.join(
        os.path.expanduser("~"), ".cache", "nastk", "data"
    )
    there = os.path.isdir(place)
    return _finding("downloaded data", f"{place} ({'exists' if there else 'empty so far'})", True)


def _plugins() -> list[dict[str, Any]]:
    found = catalogue()
    packages = counted(len({one.distribution for one in found.all()}), "package")
    findings = [_finding("plugins", f"{counted(len(found.all()), 'component')} from {packages}")]
    return [*findings, *(_finding("plugin", problem, False) for problem in found.problems)]


def _of_plugins() -> list[dict[str, Any]]:
    """What the plugins say of themselves; one that cannot say is a finding too."""
    found: list[dict[str, Any]] = []
    for implementation in catalogue().manager.hook.findings.get_hookimpls():
        try:
            found += cast(list[dict[str, Any]], implementation.function())
        except Exception as error:
            # A plugin's own failure, whatever it is, must not keep the doctor from its report.
            found.append(
                _finding(implementation.plugin_name, f"{type(error).__name__}: {error}", False)
            )
    return found
