"""Labelled images: the interface of data sources, and the batches that a run reads from them.

- `source.py` is the interface that plugins implement. `pair.py` is the source for datasets in
  Python; `items.py` reads their items.
- `task.py` describes the images and classes that a network has to fit, `image_size.py` reads sizes,
  `objective.py` is the loss and the metric, and `balance.py` counts the images of each class.
- `splits.py` holds the images of train, valid and test.
- `order.py` decides which images form which batch, `augment.py` augments a batch on its device, and
  `streams.py` combines both: batches are pure functions of (seed, step). `loader.py` is the stream
  for images that are read during the run; `opening.py` makes the stream that fits a split.
- `inventory.py` records the images of a run, `channel_statistics.py` measures their mean and
  spread, `transparency.py` lays pictures over grey, and `upload.py` copies tensors to the device.

Plugins may import the names in `__init__.pyi`; all other names are internal.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
