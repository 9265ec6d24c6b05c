"""`QUICK`: the preset that the larger sources share."""

from nastk import Preset

QUICK = Preset(
    "quick",
    "nastk: a look at the whole path in minutes, not from a paper",
    data_options={"limit": 4000},
)
