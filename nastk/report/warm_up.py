"""What a study's shared warm-up has cost, in words: `warm_up_sentences`."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from nastk.report.numbers import count, counted, seconds


def warm_up_sentences(warm_ups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yields a sentence for each shared warm-up, and one on what it means for the tables.

    `warm_ups` are those of `Study.warm_ups`.

    Example: `list(warm_up_sentences(study.warm_ups))`
    """
    for each in warm_ups:
        of = f" of {each['problem']}" if len(warm_ups) > 1 else ""
        forward, backward, spent = (
            fmean(each[name]) for name in ("images_forward", "images_backward", "cpu_seconds")
        )
        seeds = len(each["seeds"])
        mean = f", the mean of {counted(seeds, 'seed')}" if seeds > 1 else ""
        yield (
            f"Shared warm-up{of}: {each['updater']}, {counted(each['epochs'], 'epoch')}; once a "
            f"seed {count(forward)} images forward and {count(backward)} backward in "
            f"{seconds(spent)} of CPU time{mean}."
        )
    if warm_ups:
        yield (
            "Every run with a supernet began with these weights; its row does not contain what "
            "they cost."
        )
