"""`nastk doctor`: a report on this machine, on missing parts, and on commands that install them."""

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
    "jinja2",
)


def doctor(json: bool) -> None:
    """Print a line for each finding, with advice where something is missing."""
    findings = examine()
    if json:
        output.print_json(findings)
        return
    for finding in findings:
        # Advice for a finding that is no fault is optional: a note.
        sign = "LACK" if not finding["ok"] else "note" if finding["advice"] else "ok  "
        output.line(f"{sign}  {finding['what']:<22} {finding['found']}")
        if finding["advice"]:
            output.line(f"      -> {finding['advice']}")


def examine() -> list[dict[str, Any]]:
    """Returns all findings as {what, found, ok, advice}."""
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
        # A broken installation may raise any error; the advice is always the same.
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
        # Any error, as above; usually a CPU-only torch is installed with the ordinary torchvision.
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
    """Returns whether the CPU library computes the gradients of convolutions right.

    Faults of convolutions that nastk avoids are mentioned only for users' own code.
    """
    findings = [
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
    findings = findings or [_finding("convolutions", f"gradients of {count} kinds are right")]
    for fault in convolutions.faults(convolutions.AVOIDED):
        what = f"{fault.kind.words} from few channels: the gradient {fault.what}; nastk avoids it"
        advice = "in a loop of your own write F.conv2d(x[..., ::2, ::2], weight)"
        findings.append(_finding("convolutions", what, advice=advice))
    return findings


def _disk() -> dict[str, Any]:
    free = shutil.disk_usage(".").free / 2**30
    return _finding(
        "free disk here",
        f"{free:.1f} GiB",
        free >= 1,
        "" if free >= 1 else "make room, or use --out elsewhere",
    )


def _data() -> dict[str, Any]:
    path = os.environ.get("NASTK_DATA") or os.path.join(
        os.path.expanduser("~"), ".cache", "nastk", "data"
    )
    exists = os.path.isdir(path)
    return _finding("downloaded data", f"{path} ({'exists' if exists else 'empty so far'})", True)


def _plugins() -> list[dict[str, Any]]:
    installed = catalogue()
    distributions = {component.distribution for component in installed.all()}
    packages = counted(len(distributions), "package")
    findings = [
        _finding("plugins", f"{counted(len(installed.all()), 'component')} from {packages}")
    ]
    return [*findings, *(_finding("plugin", problem, False) for problem in installed.problems)]


def _of_plugins() -> list[dict[str, Any]]:
    """Returns the findings of plugins; an error of a plugin is a finding, too."""
    findings: list[dict[str, Any]] = []
    for implementation in catalogue().manager.hook.findings.get_hookimpls():
        try:
            findings += cast(list[dict[str, Any]], implementation.function())
        except Exception as error:
            # An error in a plugin must not prevent the rest of the report.
            findings.append(
                _finding(implementation.plugin_name, f"{type(error).__name__}: {error}", False)
            )
    return findings
