"""Parts of messages: `command` is a command line to type, `printable` escapes untrusted names."""

import shlex
from pathlib import Path


def command(*words: object) -> str:
    """Returns a command line, with each word quoted if the shell needs it.

    A path that begins with a dash gets the prefix `./`, so that it is not read as an option.

    >>> command("nastk", "resume", Path("runs/my first"))
    "nastk resume 'runs/my first'"
    """
    return shlex.join(
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
        for word in words
    )


def printable(text: str) -> str:
    r"""Returns `text` with a visible sign for each control character except line breaks and tabs.

    A name read from a file can then neither control a terminal nor break an SVG. Halves of
    surrogate pairs, which cannot be written to a file, become question marks.

    >>> printable("a\x1b[31mb")
    'a␛[31mb'
    """
    if text.isprintable():
        return text
    return "".join(character if character in "\n\t" else _visible(character) for character in text)


def _visible(character: str) -> str:
    """Returns one visible character in place of a control character; other characters stay."""
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    bidirectional = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    if 0x80 <= code < 0xA0 or bidirectional or code in (0xFFFE, 0xFFFF):
        return "\ufffd"
    return "?" if 0xD800 <= code < 0xE000 else character
