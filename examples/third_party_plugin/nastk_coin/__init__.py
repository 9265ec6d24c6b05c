"""Updaters that toss a coin: `coin` (`coin.py`), and `lucky-coin`, which learns (`lucky.py`)."""

from nastk import Offer, hookimpl


@hookimpl
def updaters() -> list[Offer]:
    """What this plugin offers; the classes are imported when they are used."""
    return [
        Offer("coin", "decides by tossing a coin", "nastk_coin.coin:Coin"),
        Offer(
            "lucky-coin",
            "tosses coins and keeps the best by validation accuracy",
            "nastk_coin.lucky:LuckyCoin",
        ),
    ]
