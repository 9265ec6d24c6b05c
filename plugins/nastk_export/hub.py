"""`push`: an exported folder as a repository on Hugging Face."""

import re
from pathlib import Path

from nastk import ConfigurationError, NastkError
from nastk.base import library

NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
"""The form of a repository's name: USER/NAME."""


def check(name: str) -> None:
    """Called before anything is exported: checks the name, and that the library is there.

    Raises:
        ConfigurationError: the name has another form.
        MissingExtraError: the library is not installed.
    """
    if not NAME.fullmatch(name):
        raise ConfigurationError(f"--push takes USER/NAME, such as ada/flowers; got {name!r}.")
    library("huggingface_hub", "hub", "--push")


def push(folder: Path, name: str, private: bool = False) -> str:
    """Uploads a folder and returns the address of the repository, which is made if there is none.

    The library finds the token of the user who logged in with its own command `hf auth login`.

    Raises:
        NastkError: the upload was refused or failed; the folder is kept.
    """
    hub = library("huggingface_hub", "hub", "--push")
    try:
        service = hub.HfApi()
        address = service.create_repo(name, private=private or None, exist_ok=True)
        service.upload_folder(repo_id=name, folder_path=folder, commit_message="Export by nastk")
    except Exception as error:  # the library raises errors of several packages
        why = " ".join(str(error).split()) or type(error).__name__
        raise NastkError(
            f"The upload to {name} failed: {why} The export itself is in {folder}. Log in with "
            "`hf auth login`, or look at the name, then push again."
        ) from None
    return str(address)
