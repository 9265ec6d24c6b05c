"""How messages say things: `command` is what to type next, `printable` a name from elsewhere."""

import shlex
from pathlib import Path


def command(*words: object) -> str:
    """A command to type, each word quoted where the shell needs it.

    A path that begins with a dash would be taken for an option; it is led by `./`.

    >>> command("nastk", "resume", Path("runs/my first"))
    "nastk resume 'runs/my first'"
    """
    return shlex.join(
        f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
        for word in words
    )


def printable(text: str) -> str:
    r"""`text` with a visible sign for each control character but line breaks and tabs.

    So a name that comes from a file can neither steer a terminal nor break an SVG. Halves of
    surrogate pairs, which no file takes, become question marks.

    >>> printable("a\x1b[31mb")
    'a␛[31mb'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign in "\n\t" else _visible(sign) for sign in text)


def _visible(sign: str) -> str:
    """A sign that takes one place."""
    code = ord(sign)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    bidirectional = 0x202A <= code <= 0x202E or 0x2066 <= code <= 0x2069
    if 0x80 <= code < 0xA0 or bidirectional or code in (0xFFFE, 0xFFFF):
        return "\ufffd"
    return "?" if 0xD800 <= code < 0xE000 else sign
