"""`lightning_module`: a session as a LightningModule; Lightning is imported when it is called."""

from collections.abc import Iterator
from typing import Any

from nastk.base.errors import ConfigurationError
from nastk.base.extras import library
from nastk.data.streams import Batch
from nastk.runs.session import Session


class Epochs:
    """The batches of a session: each pass over it is the present epoch.

    Example: `torch_trainer.fit(module, train_dataloaders=Epochs(session))`
    """

    def __init__(self, session: Session) -> None:
        self.session = session

    def __len__(self) -> int:
        return self.session.steps

    def __iter__(self) -> Iterator[Batch]:
        return self.session.batches()


def lightning_module(session: Session) -> Any:
    """Returns a LightningModule that asks and tells around Lightning's own weight steps.

    Lightning computes gradients, clips them (its `gradient_clip_val`) and steps the session's
    optimiser; `max_epochs` is `session.epochs`. The session's state goes into its checkpoints.

    Raises:
        MissingExtraError: Lightning is not installed.

    Example: `Trainer(max_epochs=session.epochs).fit(nastk.lightning_module(session))`
    """
    lightning = library("lightning", "lightning", "A session driven by Lightning")

    class Searching(lightning.LightningModule):  # type: ignore[name-defined,misc]
        """Trains the supernet of a session."""

        def __init__(self) -> None:
            super().__init__()
            self.session, self.supernet = session, session.supernet
            self.last: Any = None

        def configure_optimizers(self) -> Any:
            """Called by Lightning: returns the session's optimiser, whose rate the session sets."""
            return session.optimizer

        def train_dataloader(self) -> Epochs:
            """Called by Lightning: returns the session's batches."""
            return Epochs(session)

        def training_step(self, batch: Any, index: int) -> Any:
            """Called for every batch: returns the mean loss of the updater's mixtures."""
            batch = Batch(*batch)
            loss = session.loss(batch, session.ask(batch))
            self.last = loss.detach()
            self.log("loss", self.last)
            return loss

        def on_before_optimizer_step(self, optimizer: Any) -> None:
            """Called before gradients are clipped: treats weights that the step leaves out."""
            session.branch.move_on()

        def on_train_batch_end(self, outputs: Any, batch: Any, index: int) -> None:
            """Called after every weight step: tells the session of it."""
            session.tell(self.last)

        def on_train_epoch_end(self) -> None:
            """Called after every epoch: the updater measures.

            Raises:
                ConfigurationError: the updater goes on with other weights, which Lightning's
                    optimiser does not hold.
            """
            session.end_epoch()
            if not session.finished and session.supernet is not self.supernet:
                raise ConfigurationError(
                    f"Updater {session.branch.updater.name!r} goes on with other weights (it split "
                    "its branch or began anew), and Lightning trains those that it was given. "
                    "Drive this session by a loop of your own."
                )

        def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            """Called for every checkpoint of Lightning's: adds the session's state."""
            checkpoint["nastk_session"] = session.state_dict()

        def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
            """Called when a checkpoint is loaded: the session goes on from it."""
            session.load_state_dict(checkpoint["nastk_session"])

    return Searching()
