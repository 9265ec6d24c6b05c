"""Ask and tell: the caller's own loop, and Lightning's, decide as a search does, to the bit."""

import io

import pytest
import torch

import nastk
from nastk import CheckpointError, ConfigurationError, Mixture
from nastk.runs import checkpoint
from nastk.testing import fingerprint
from nastk.testing.toy import ToySupernet

TRAINER = {"epochs": 2, "batch_size": 16, "log_every": 1, "gradient_clip": 1.0}
UPDATERS = {
    "darts": {},
    "shapley": {"samples": 2, "warmup": 1, "batch_size": 16},
    "random": {"candidates": 3},
    "toy-split": {},
}


def made(updater, data="toy", **request):
    use = nastk.use(updater, **UPDATERS[updater])
    return nastk.session("toy", use, data, **{"trainer": TRAINER, **request})


def step(session, batch):
    """A weight step as plain PyTorch takes it."""
    images, labels = batch
    session.optimizer.zero_grad()
    mixtures = session.ask(batch)
    losses = [
        torch.nn.functional.cross_entropy(session.supernet(images, mixture), labels)
        for mixture in mixtures
    ]
    loss = torch.stack(losses).mean() if len(losses) > 1 else losses[0]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(session.supernet.parameters(), 1.0)
    session.optimizer.step()
    session.tell(loss)


def driven(session, steps=None):
    """The session after so many steps, or at its end."""
    while not session.finished:
        for batch in session.batches():
            if steps == 0:
                return session
            step(session, batch)
            steps = None if steps is None else steps - 1
        session.end_epoch()
    return session


def searched(updater, out, **request):
    use = nastk.use(updater, **UPDATERS[updater])
    return nastk.search("toy", use, "toy", **{"trainer": TRAINER, "out": out, **request})


def states_of(result):
    """The states of a finished run's branches, as its last checkpoint has them."""
    stored, _ = checkpoint.newest(result.folder.checkpoints)
    return stored.branches


@pytest.mark.parametrize("updater", UPDATERS)
def test_a_plain_loop_ends_in_the_bits_of_a_search(updater, tmp_path):
    result = searched(updater, tmp_path / "run")
    with made(updater) as session:
        driven(session)
        assert session.decision() == result.architecture
    states = session.state_dict()["branches"]
    assert [state["name"] for state in states] == [state["name"] for state in states_of(result)]
    for ours, theirs in zip(states, states_of(result), strict=True):
        for part in ("supernet", "optimizer", "updater", "rng", "subspace"):
            assert fingerprint(ours[part]) == fingerprint(theirs[part]), part
    cost, search = session.cost.search, result.cost.search
    assert cost.images_forward == search.images_forward
    assert cost.images_backward == search.images_backward


def test_its_own_step_is_that_of_the_trainer(tmp_path):
    result = searched("shapley", tmp_path / "run", seed=3)
    session = made("shapley", seed=3)
    while not session.finished:
        for batch in session.batches():
            loss = session.loss(batch, session.ask(batch))
            session.optimizer.zero_grad()
            loss.backward()
            session.descend()
            session.tell(loss)
        session.end_epoch()
    assert session.decision() == result.architecture
    (state,) = states_of(result)
    assert fingerprint(dict(session.supernet.state_dict())) == fingerprint(state["supernet"])


@pytest.mark.parametrize("steps", [2, 4])
def test_it_goes_on_from_a_stored_state_to_the_same_bits(steps):
    straight = driven(made("darts")).state_dict()["branches"]
    stopped = driven(made("darts"), steps)
    file = io.BytesIO()
    torch.save(stopped.state_dict(), file)
    file.seek(0)
    session = made("darts")
    supernet, optimizer = session.supernet, session.optimizer
    session.load_state_dict(torch.load(file, weights_only=True))
    assert session.supernet is supernet and session.optimizer is optimizer
    assert fingerprint(driven(session).state_dict()["branches"]) == fingerprint(straight)


def test_events_are_those_of_a_search(tmp_path):
    result = searched("shapley", tmp_path / "run")
    heard = []
    driven(made("shapley", observers=[heard.append]))
    kinds = ("epoch-done", "updater-reported", "watched")
    theirs = [event for event in result.folder.events() if event["kind"] in kinds]
    ours = [event.to_json() for event in heard if event.kind in kinds]
    assert [event["kind"] for event in ours] == [event["kind"] for event in theirs]
    texts = [event["architecture"] for event in ours if event["kind"] == "epoch-done"]
    assert texts == [event["architecture"] for event in theirs if event["kind"] == "epoch-done"]


class Counted(ToySupernet):
    """A network of the caller's, which notes what it is asked."""

    asked = 0

    def forward(self, images, mixture):
        type(self).asked += 1
        return super().forward(images, mixture) * 2


def test_a_network_of_ones_own_is_what_is_trained_and_measured():
    Counted.asked = 0
    session = made("random", supernet=lambda task: Counted(4, task))
    driven(session)
    # A forward pass for each step and for each candidate's batch.
    assert isinstance(session.supernet, Counted) and Counted.asked == 2 * session.steps + 3
    with pytest.raises(ConfigurationError, match=r"must return a nastk.Supernet, got a Linear"):
        made("random", supernet=lambda task: torch.nn.Linear(2, 2))


def test_batches_and_an_optimiser_of_ones_own_and_pairs_of_data_sets():
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (64, 3, 8, 8), generator=rng).byte()
    pairs = [(image, number % 3) for number, image in enumerate(images)]
    session = made("shapley", (pairs[:32], pairs[32:]))
    adam = torch.optim.Adam(session.supernet.parameters())
    assert (session.epochs, session.steps) == (2, 2)
    while not session.finished:
        for start in (0, 16):
            batch = torch.randn(16, 3, 8, 8), torch.arange(start, start + 16) % 3
            loss = session.loss(batch, session.ask(batch))
            adam.zero_grad()
            loss.backward()
            adam.step()
            session.tell(float(loss.detach()), correct=5)
        session.end_epoch()
    assert Mixture.of(session.decision()).active.any()


def asked(session):
    session.ask(next(session.batches()))
    return session


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda session: session.tell(1.0), "Nothing was asked"),
        (lambda session: asked(asked(session)), "asked and not told"),
        (lambda session: asked(session).state_dict(), "asked and not told"),
        (lambda session: asked(session).end_epoch(), "asked and not told"),
        (lambda session: driven(session, 1).end_epoch(), "1 of its 3 steps"),
        (lambda session: asked(driven(session)), "The session is finished"),
        (lambda session: driven(session).end_epoch(), "The session is finished"),
    ],
)
def test_calls_out_of_turn_say_what_comes_first(act, message):
    with pytest.raises(ConfigurationError, match=message):
        act(made("darts"))


def test_an_epoch_has_so_many_steps_and_states_belong_to_settings():
    session = made("darts")
    for batch in session.batches():
        step(session, batch)
    with pytest.raises(ConfigurationError, match=r"has had its 3 steps. Call end_epoch"):
        session.ask(batch)
    with pytest.raises(CheckpointError, match="seed is 1, was 0"):
        made("darts", seed=1).load_state_dict(session.state_dict())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("updater", ["darts", "shapley"])
def test_lightning_ends_in_the_bits_of_a_search(updater, tmp_path):
    lightning = pytest.importorskip("lightning")
    result = searched(updater, tmp_path / "run")
    place = tmp_path / "lightning"

    def fitted(epochs, session, path=None):
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        trainer = lightning.Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            gradient_clip_val=1.0,
            default_root_dir=place,
            enable_checkpointing=False,
            **quiet,
        )
        trainer.fit(nastk.lightning_module(session), ckpt_path=path, weights_only=False)
        return trainer

    straight = made(updater)
    fitted(straight.epochs, straight)
    stopped, resumed = made(updater), made(updater)
    fitted(1, stopped).save_checkpoint(place / "one.ckpt")
    fitted(2, resumed, place / "one.ckpt")
    (state,) = states_of(result)
    for session in (straight, resumed):
        assert session.decision() == result.architecture
        (ours,) = session.state_dict()["branches"]
        for part in ("supernet", "optimizer", "updater", "rng"):
            assert fingerprint(ours[part]) == fingerprint(state[part]), part


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning_says_that_it_cannot_follow_a_split():
    lightning = pytest.importorskip("lightning")
    trainer = lightning.Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False
    )
    with pytest.raises(ConfigurationError, match="goes on with other weights"):
        trainer.fit(nastk.lightning_module(made("toy-split")))
