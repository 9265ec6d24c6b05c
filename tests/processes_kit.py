"""Several processes of one run, in a test: `together`.

They are forked from the test process, which takes a fraction of the seconds of torchrun: torch is
imported already.
"""

import io
import multiprocessing
import os
import socket
import traceback

import torch

from nastk.base.processes import Processes

SECONDS = 240


def together(work, size=2):
    """Returns what `work(processes)` returns in each of `size` processes that share a run."""
    context = multiprocessing.get_context("fork")
    port = free_port()
    started = []
    for rank in range(size):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_member, args=(work, rank, size, port, theirs))
        process.start()
        theirs.close()
        started.append((process, ours))
    try:
        answers = []
        for process, pipe in started:
            assert pipe.poll(SECONDS), "a process does not answer"
            answers.append(torch.load(io.BytesIO(pipe.recv_bytes())))
            process.join(SECONDS)
    finally:
        for process, _ in started:
            process.kill()
            process.join()
    failures = [text for fine, text in answers if not fine]
    assert not failures, "\n".join(failures)
    return [answer for _, answer in answers]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _member(work, rank, size, port, pipe):
    torch.set_num_threads(1)
    variables = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in variables.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
    try:
        answer = (True, work(Processes.started()))
    except BaseException:
        answer = (False, f"process {rank}: {traceback.format_exc()}")
    try:
        stored = io.BytesIO()  # tensors in a pipe are lost when their process ends
        torch.save(answer, stored)
        pipe.send_bytes(stored.getvalue())
    finally:
        pipe.close()
        os._exit(0)
