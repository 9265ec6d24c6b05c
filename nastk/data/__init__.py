"""Labelled images: what a data source offers and how a run reads it.

`task.py` says what a network must fit, `image_size.py` how sizes are written, `objective.py` what
training minimises and what is reported; `splits.py` holds the images of train, valid and test as a
`DataSource` gives them; `source.py` is the interface that plugins implement and `pair.py` the
source for datasets that exist in Python, whose items `items.py` reads; `transparency.py` lays
pictures over grey. `order.py` says which images make up which batch,
`augment.py` changes a batch on the device, and `streams.py` puts both together: batches that are
pure functions of (seed, step). `loader.py` is the same stream for images that are read while the
run goes on, and `opening.py` makes the one that suits a split.

Plugins import the names of `__init__.pyi` from here, and the others not.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
