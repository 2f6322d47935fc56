"""Refusals of what is not ours: keys of other programs under our names, and prices of the other kind."""

from collections.abc import Collection

from btcts.errors import ForeignKey, StoreError


def refuse_keys(foreign: Collection[str], where: str, elsewhere: str) -> None:
    """Raise `ForeignKey` when there are such keys; `elsewhere` is the store to use instead."""
    if foreign:
        raise ForeignKey(
            f"{', '.join(foreign)} at {where} was not made by btcts; "
            f"rename it, use {elsewhere}, or run btcts init-keys --adopt"
        )


def refuse_mixture(known: bool | None, where: str, elsewhere: str, *, simulated: bool) -> None:
    """Raise `StoreError` where the prices are `known` to be simulated and these are real, or the other way round."""
    if known in (None, simulated):
        return
    kind, other = ("real", "simulated") if simulated else ("simulated", "real")
    raise StoreError(f"{where} holds {kind} prices and {other} ones must not be mixed in; use {elsewhere}")
