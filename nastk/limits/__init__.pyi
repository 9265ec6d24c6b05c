from .additive import TYINGS as TYINGS
from .additive import Additive as Additive
from .additive import features as features
from .additive import fit as fit
from .additive import keys_of as keys_of
from .structure import Structure as Structure
from .structure import with_operation as with_operation
