"""`Names`: what the name of a new component becomes in its package, and which names are refused."""

import builtins
import importlib.util
import keyword
import re
from dataclasses import dataclass

import nastk
from nastk import ConfigurationError, catalogue

KINDS = ("updater", "space", "evaluator", "data", "tracker")
PATTERN = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30
"""The most characters of a name, so that the lines of a new package keep within 100 columns."""
RESERVED = frozenset({"none", "pair", "paper", "quick", "ranking", "toy", "trainer"})
"""Names that nastk itself uses for something else."""


@dataclass(frozen=True)
class Names:
    """The names in a new package whose component is called `name`.

    Example: `Names.of("updater", "my-method").package` is `nastk_my_method`
    """

    kind: str
    name: str

    @classmethod
    def of(cls, kind: str, name: str) -> "Names":
        """Returns the names, after checking that they are free.

        Raises:
            ConfigurationError: there is no such kind, or the name has another form, is taken, or
                belongs to an installed package.
        """
        if kind not in KINDS:
            raise ConfigurationError(
                f"There is no kind {kind!r} of plugin. Expected {', '.join(KINDS[:-1])} or "
                f"{KINDS[-1]}."
            )
        if not PATTERN.fullmatch(name) or len(name) > LONGEST:
            raise ConfigurationError(
                f"A name has at most {LONGEST} small letters, digits and single hyphens, and "
                f"begins with a letter, such as my-method; got {name!r}."
            )
        names = cls(kind, name)
        installed = catalogue()
        if name in RESERVED or name in installed.names(kind):
            owners = installed.installed[kind].get(name, [])
            owner = f"of {owners[0].distribution} already" if owners else "a word of nastk itself"
            raise ConfigurationError(f"The name {name!r} is {owner}. Choose another one.")
        if importlib.util.find_spec(names.package) is not None:
            raise ConfigurationError(
                f"A Python package {names.package} is installed already. Choose another name."
            )
        return names

    @property
    def distribution(self) -> str:
        """The name for pip, and of the folder: `nastk-my-method`."""
        return f"nastk-{self.name}"

    @property
    def package(self) -> str:
        """The name for `import`: `nastk_my_method`."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The name of the class: `MyMethod`, or `MixtureUpdater` where Python or nastk has one."""
        plain = "".join(part.capitalize() for part in self.name.split("-"))
        taken = keyword.iskeyword(plain) or plain in dir(builtins) or plain in dir(nastk)
        return plain + self.kind.capitalize() if taken or plain in TEMPLATES else plain

    @property
    def words(self) -> str:
        """The name in a sentence: `my method`."""
        return self.name.replace("-", " ")


TEMPLATES = frozenset({"Any", "Conv2d", "Field", "Harness", "Network", "Tensor", "Options"})
"""Names that the templates import or define beside those of nastk."""
