from .entry import main as main
from .look import architecture_of as architecture_of
from .look import branches_of as branches_of
from .output import note as note
from .output import show as show
from .parameters import ARCHITECTURE as ARCHITECTURE
from .parameters import ITS_SPACE as ITS_SPACE
from .parameters import SPACE_OPTIONS as SPACE_OPTIONS
