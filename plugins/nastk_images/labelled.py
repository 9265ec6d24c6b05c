"""Labelled pictures of data sets and tables: their splits (`roles`) and classes (`tree_of`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nastk import DataError
from nastk.base import near_miss
from nastk_images.listing import SPELLINGS, Listing, Tree, few
from nastk_images.stored import Picture

Label = int | str
ROLES = ("train", "valid", "test")


@dataclass(frozen=True)
class Labelled:
    """The pictures of one split, each with its label: a number, or the name of its class."""

    pictures: Sequence[Picture]
    labels: Sequence[Label]


def roles(names: Sequence[str], asked: Mapping[str, str | None], owner: str) -> dict[str, str]:
    """Returns the names of the splits for train and, where there are any, for valid and test.

    `asked` are the user's own choices; the others go by the names that are usual. A single split
    is train, whatever its name.

    Raises:
        DataError: a name that was asked for does not exist, or none is train. `owner` begins the
            message.
    """
    known = ", ".join(names)
    for name in asked.values():
        if name is not None and name not in names:
            raise DataError(
                f"{owner} has no split {name!r}.{near_miss(name, names)} It has: {known}."
            )
    found = {role: name for role, name in asked.items() if name is not None}
    for role in ROLES:
        free = [name for name in names if name not in found.values()]
        usual = [name for name in free if name.lower() in SPELLINGS[role]]
        if role not in found and usual:
            found[role] = usual[0]
    if "train" not in found and len(names) == 1:
        found["train"] = names[0]
    if "train" not in found:
        raise DataError(
            f"{owner} has the splits {known}, and none of them is called train. Say which one is "
            "with `-d train=NAME` (and `-d valid=NAME`, `-d test=NAME`)."
        )
    return found


def tree_of(
    splits: Mapping[str, Labelled],
    owner: str,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> Tree:
    """Returns labelled pictures with their classes, which are the labels of train, sorted.

    `names` are the names of classes that are labelled by numbers.

    Raises:
        DataError: there are no train pictures or fewer than two classes, or a label is in another
            split alone. `owner` begins the message.
    """
    labels = sorted(set(splits["train"].labels), key=lambda label: (isinstance(label, str), label))
    if len(labels) < 2:
        have = f"the one class {labels[0]!r}" if labels else "no image"
        raise DataError(f"{owner} has {have} in train, and at least two classes are needed.")
    numbers = {label: number for number, label in enumerate(labels)}
    listings = {role: _listing(role, part, numbers, owner) for role, part in splits.items()}
    classes = tuple(_name(label, names) for label in labels)
    unused = [name for number, name in enumerate(names or ()) if number not in numbers]
    if unused:
        notes = (*notes, f"Classes without a train image are left out: {few(unused)}.")
    return Tree(
        classes, listings["train"], listings.get("valid"), listings.get("test"), tuple(notes)
    )


def _listing(role: str, part: Labelled, numbers: Mapping[Label, int], owner: str) -> Listing:
    """Returns the pictures of a split with the numbers of their classes."""
    if not part.labels:
        raise DataError(f"{owner} has no image in {role}. Leave that split out, or fill it.")
    for picture, label in zip(part.pictures, part.labels, strict=True):
        if label not in numbers:
            raise DataError(
                f"{picture} is of class {label!r} and in {role}, but train has no image of that "
                "class. Add some, or remove it."
            )
    return Listing(tuple(part.pictures), tuple(numbers[label] for label in part.labels))


def _name(label: Label, names: Sequence[str] | None) -> str:
    """Returns the name of a class."""
    if isinstance(label, int) and names is not None and 0 <= label < len(names):
        return str(names[label])
    return str(label)
