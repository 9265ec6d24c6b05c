from .mixture import Terms as Terms
from .mixture import terms_of as terms_of
from .supernet import Measure as Measure
from .supernet import has_hooks as has_hooks
from .supernet import recomputed as recomputed
from .wrapped import WrappedSpace as WrappedSpace
