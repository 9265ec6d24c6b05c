"""Formulas become MathML while the site is built: pages need no script and no network to show them.

An mkdocs hook. `pymdownx.arithmatex` marks the formulas; latex2mathml translates them.
"""

import html
import re

from latex2mathml.converter import convert

MARKED = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<formula>.*?)\\[)\]]</(?P=tag)>', re.DOTALL
)


def on_page_content(text: str, **rest: object) -> str:
    """Called by mkdocs with the HTML of a page's content."""
    return MARKED.sub(_mathml, text)


def _mathml(match: re.Match[str]) -> str:
    block = match["tag"] == "div"
    formula = convert(
        html.unescape(match["formula"]).strip(), display="block" if block else "inline"
    )
    return f'<{match["tag"]} class="formula">{formula}</{match["tag"]}>'
