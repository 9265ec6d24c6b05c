"""What a run looks like, without torch: pictures of cells, drawings in the terminal, tables.

`graph` turns an architecture into the cells to draw; `layers`, `positions`, `snake` and `layout`
place them; `cell` draws the picture and `terminal` the same in characters. `lineage` reads which
branch came from which, `tree` shows it and `tree_picture` draws it. `summary` shows a run, `tables`
lists of runs and plugins, `options` the options of a component. `canvas` is the page that pictures
are drawn on, `families` has the colours, `numbers` the wording of counts and times.
"""
