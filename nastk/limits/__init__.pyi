from .model import GROUPINGS as GROUPINGS
from .model import Additive as Additive
from .model import Structure as Structure
from .model import features as features
from .model import fit as fit
from .model import keys_of as keys_of
from .model import with_operation as with_operation
