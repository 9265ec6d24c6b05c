"""A first search from Python: what `nastk search` does, and what can be asked of its result.

python first_search.py                                    the search of the README: minutes on a CPU
python first_search.py --space toy --data toy --epochs 4  the same on a toy: seconds
"""

import argparse

import nastk


def main(arguments: list[str] | None = None) -> nastk.Result:
    """Search, then look at the result from several sides."""
    parser = argparse.ArgumentParser(description="A first search from Python.")
    parser.add_argument("--space", default="darts")
    parser.add_argument("--updater", default="shapley")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--out", default=None, help="the run folder; a new one in runs/ where not given"
    )
    asked = parser.parse_args(arguments)

    result = nastk.search(
        space=asked.space,
        updater=asked.updater,
        data=asked.data,
        epochs=asked.epochs,
        preset="quick",
        out=asked.out,
        seed=0,
    )

    print("architecture  ", result.text)
    print("evaluation    ", result.evaluation)
    print("images forward", result.cost.total.images_forward)
    for event in result.history:
        if event["kind"] == "epoch-done":
            print(f"epoch {event['epoch']}  loss {event['loss']:.3f}  {event['architecture']}")

    network = result.network()  # a plain torch module with fresh weights, yours to train
    print("parameters    ", sum(weight.numel() for weight in network.parameters()))
    print("run folder    ", result.folder.path)
    return result


if __name__ == "__main__":
    main()
