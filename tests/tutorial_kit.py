"""The plugin tutorial as a reader types it: the files of its titled blocks, and its commands.

python tests/tutorial_kit.py FOLDER     types the files into FOLDER and prints the commands
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "writing-a-plugin.md"
TITLED = re.compile(r'^(````?)\w+ title="([^"]+)"\n(.*?)^\1$', re.DOTALL | re.MULTILINE)
SNIPPET = re.compile(r'^--8<-- "(.+)"\n', re.MULTILINE)
TREE = re.compile(r"^```text\nnastk-coin/\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BASH = re.compile(r"^```bash\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def listed():
    """The files of the listing at the page's beginning, by their paths."""
    found, folders = [], []
    for line in TREE.search(PAGE.read_text())[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        name = line.split()[0]
        del folders[depth:]
        if name.endswith("/"):
            folders.append(name)
        else:
            found.append("".join([*folders, name]))
    return found


def files():
    """Every titled block of the page: its path and the text that a reader sees."""
    return {
        path: SNIPPET.sub(lambda match: (ROOT / match[1]).read_text(), code)
        for _, path, code in TITLED.findall(PAGE.read_text())
    }


def commands():
    """The lines of the page's bash blocks, in order."""
    return [line for code in BASH.findall(PAGE.read_text()) for line in code.splitlines()]


def type_into(folder):
    """Write the files of the page into `folder`."""
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


if __name__ == "__main__":
    type_into(Path(sys.argv[1]))
    print("\n".join(commands()))
