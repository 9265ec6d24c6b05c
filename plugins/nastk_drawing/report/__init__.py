"""Reports: one self-contained HTML file of a run, a training or a study; `nastk report`.

parts.py      what a page is made of: sections with texts, tables, figures, code
theme.py      the colours in light and dark, for the page and for the pictures in it
embedding.py  a matplotlib figure as SVG within the page
page.py       parts to HTML, by the templates in templates/
source.py     what a folder holds, and which report it gets
run.py        the report of a run: headline.py, search.py, judging.py and settings.py have sections
trained.py    networks that were trained, of a run or alone
study.py      the report of a study

Everything is read from files, without torch and without images.
"""
