"""Writes the parts of the documentation that come from the code, so that they cannot go stale.

    python docs/generate.py            brings every page up to date
    python docs/generate.py --check    changes nothing; fails and names the pages that are stale

Option tables stand between `<!-- options: KIND NAME -->` and `<!-- /options -->` (the second marker
is added where it is missing; `trainer` and `ranking` are KINDs without a name), our plugins that
have a hook between `<!-- used by: HOOK -->` and `<!-- /used by -->`, the reproduction cards between
`<!-- cards -->` and `<!-- /cards -->`. The command line's help is
`cli.md`; what `nastk describe` says without importing a plugin is its package's `components.json`.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

from typer.main import get_command
from typer.testing import CliRunner

from nastk import RankingOptions, TrainerOptions, catalogue
from nastk.base.plugins import KINDS
from nastk.cli.app import build
from nastk.report import descriptions
from nastk.report.options import options_markdown
from nastk_reproduction.cards import markdown as cards_markdown

DOCS = Path(__file__).parent
MARKER = re.compile(
    r"<!-- options: (?P<kind>\w+) ?(?P<name>[\w-]*) -->\n"
    r"(?:(?:(?!<!-- ).)*?\n<!-- /options -->\n)?",
    re.DOTALL,
)
USERS = re.compile(r"(?<=<!-- used by: )(?P<hook>\w+)( -->\n).*?(?=<!-- /used by -->\n)", re.DOTALL)
CARDS = re.compile(r"(?<=<!-- cards -->\n).*?(?=<!-- /cards -->\n)", re.DOTALL)
HELP_MARKER = re.compile(r"(?<=<!-- help -->\n).*?(?=<!-- /help -->\n)", re.DOTALL)
SECTIONS = {"trainer": TrainerOptions, "ranking": RankingOptions}
TERMINAL = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}


def options(match: re.Match[str]) -> str:
    """The marker with the option table of its component."""
    kind, name = match["kind"], match["name"]
    model = SECTIONS.get(kind) or catalogue().load(kind, name).Options
    opening = f"<!-- options: {kind}{' ' * bool(name)}{name} -->"
    return f"{opening}\n\n{options_markdown(model).strip()}\n\n<!-- /options -->\n"


def users(match: re.Match[str]) -> str:
    """The plugins of nastk's own distribution that implement a hook, with what they offer."""
    hook = match["hook"]
    kinds = {name: kind for kind, (name, _) in KINDS.items()}
    implementations = getattr(catalogue().manager.hook, hook).get_hookimpls()
    ours = {
        one.name for one in entry_points(group="nastk") if one.dist and one.dist.name == "nastk"
    }
    found = []
    for one in sorted(implementations, key=lambda one: one.plugin.__name__):
        if one.plugin_name not in ours:
            continue
        names = [f"`{offer.name}`" for offer in one.function()] if hook in kinds else []
        found.append(f"`{one.plugin.__name__}`" + (f" ({', '.join(names)})" if names else ""))
    return f"{hook}{match[2]}\nUsed by {', '.join(found)}.\n\n"


def help_text(*command: str) -> str:
    """What `nastk COMMAND --help` prints on a terminal of 100 columns."""
    found = CliRunner().invoke(build(), [*command, "--help"], prog_name="nastk", env=TERMINAL)
    return "\n".join(line.rstrip() for line in found.output.strip().splitlines())


def reference() -> str:
    """The help of nastk and of each of its commands, in fenced blocks."""
    commands: Iterator[tuple[str, ...]] = ((name,) for name in get_command(build()).commands)  # type: ignore[attr-defined]
    parts = [
        f"## {' '.join(('nastk', *command))}\n\n```text\n{help_text(*command)}\n```\n"
        for command in [(), *commands]
    ]
    return "\n" + "\n".join(parts) + "\n"


def updated(text: str) -> str:
    """A page with everything generated in it brought up to date."""
    text = USERS.sub(users, MARKER.sub(options, text))
    text = CARDS.sub(lambda match: f"\n{cards_markdown()}\n", text)
    return HELP_MARKER.sub(lambda match: reference(), text)


def stale() -> dict[Path, str]:
    """Files that differ from what the code says, with what they should hold."""
    pages = {page: page.read_text() for page in sorted(DOCS.rglob("*.md"))}
    found = {page: new for page, old in pages.items() if (new := updated(old)) != old}
    for file, text in descriptions.texts().items():
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            found[file] = text
    return found


def main() -> int:
    """Check or write; the exit code."""
    found = stale()
    if "--check" in sys.argv:
        for page in found:
            print(f"{page.relative_to(DOCS.parent)} is stale; run `python docs/generate.py`.")
        return bool(found)
    for page, text in found.items():
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(DOCS.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
