"""Charts of a run: `nastk draw RUN --curves | --scores | --lineage`, and the figures of reports.

panel.py       a chart in the house's style, and pictures made of several
curves.py      loss, accuracy, entropy and the share of operations without parameters, by epoch
ratings.py     the scores of every operation, read from a run; rating_panels.py draws them
population.py  the lineage of an evolving population
ranking.py     rank correlations of the search beside those of counts
study.py       what the runs of a study reached, and how
training.py    the loss and the accuracy of networks in training

Each module has a function that takes what it draws and returns panels; none for a run without it.
"""
