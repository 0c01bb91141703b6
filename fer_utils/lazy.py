"""Packages whose names are imported when they are first used.

PyTorch alone takes longer to import than most commands run, and the light install does
without it.
"""

import importlib
import sys
from collections.abc import Callable

from .errors import missing


def lazy(package: str, rooms: dict[str, tuple[str, ...]]) -> tuple[Callable, list[str]]:
    """Return `__getattr__` and `__all__` for a package; `rooms`: module → its names."""
    home = {name: room for room, names in rooms.items() for name in names}

    def getattr_(name: str):
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            value = getattr(importlib.import_module(f".{home[name]}", package), name)
        except ModuleNotFoundError as error:
            raise missing(f"{package}.{name}", "course", error) from None
        setattr(sys.modules[package], name, value)
        return value

    return getattr_, sorted(home)


def need(modules: str, what: str, extra: str) -> None:
    """Raise the error that names the extra, unless all `modules` can be imported."""
    try:
        for module in modules.split():
            importlib.import_module(module)
    except ImportError as error:
        raise missing(what, extra, error) from None
