"""What a built site must hold, which its sources cannot show: `.ci/run` calls it.

python tests/check_site.py FOLDER
"""

import html
import re
import sys
from pathlib import Path

TAGS = re.compile(r"<[^>]+>")
FROM_ELSEWHERE = re.compile(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//[^"]+"[^>]*>')
FORMULA = re.compile(r'class="arithmatex"|\\\\\(|\\\\\[')


def faults(site):
    """What is wrong with the site in the folder `site`, a line each."""
    pages = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    for page, text in pages.items():
        name = page.relative_to(site)
        # The page's own address and its feeds are links, but nothing that is loaded.
        loaded = [tag for tag in FROM_ELSEWHERE.findall(text) if 'rel="canonical"' not in tag]
        yield from (f"{name} loads {tag} from elsewhere" for tag in loaded)
        if FORMULA.search(text):
            yield f"{name} shows a formula as TeX"
        for target in re.findall(r'<img[^>]+src="([^":]+)"', text):
            if not (page.parent / target).resolve().is_file():
                yield f"{name} has a picture that is not there: {target}"
    if sum("<math" in text for text in pages.values()) < 5:
        yield "no formulas are shown as MathML"
    if "<img" not in pages[site / "index.html"]:
        yield "the home page has no picture"
    page = pages[site / "python-api" / "index.html"]
    words = re.sub(r"\s+", "", html.unescape(TAGS.sub("", page))).replace(",)", ")")
    for signature in (
        "Edge(name:str,operations:tuple[str,...],group:str,tail:int,head:int)",
        "Offer(name:str,summary:str,load:str)",
    ):
        if signature not in words:
            yield f"the API page does not show {signature}"


if __name__ == "__main__":
    found = list(faults(Path(sys.argv[1])))
    print("\n".join(found) or "The site is whole.")
    sys.exit(bool(found))
