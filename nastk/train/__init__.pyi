from .probe import NormMode as NormMode
from .weights import NamedWeights as NamedWeights
from .wrapper import InnerName as InnerName
from .wrapper import InnerOptions as InnerOptions
from .wrapper import around as around
from .wrapper import as_weights as as_weights
from .wrapper import complete as complete
from .wrapper import updater_class as updater_class
