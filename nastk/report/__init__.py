"""What a run looks like, without torch: pictures of cells, drawings in the terminal, tables.

`graph` turns an architecture into the cells to draw; `layers`, `positions`, `snake` and `layout`
place them; `cell` draws the picture and `terminal` the same in characters. `summary` shows a run,
`tables` lists of runs and plugins, `options` the options of a component. `families` has the
colours, `numbers` the wording of counts and times.
"""
