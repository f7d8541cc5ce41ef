"""Registries: a plug-in folder's definitions, found by themselves and looked up by name."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import Any, Generic, TypeVar

from nngames.core.errors import UnknownNameError, unknown_option

T = TypeVar("T")
N = TypeVar("N", bound=type)


class RegistryError(ImportError):
    """A plug-in folder is inconsistent: a module registers nothing, or a name is registered twice."""


class Registry(Generic[T]):
    """Named definitions of one kind, such as activations or solvers.

    Parameters
    ----------
    kind : str
        What an entry is, in the singular; used in messages.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}
        self._modules: dict[str, str] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that registers a definition under ``name``.

        Raises
        ------
        RegistryError
            If the name is taken.
        """

        def add(entry: T) -> T:
            if name in self._entries:
                raise RegistryError(f"{self.kind} {name!r} is registered twice: in {self._modules[name]} and again")
            self._entries[name] = entry
            self._modules[name] = getattr(entry, "__module__", "?")
            return entry

        return add

    def named(self, name: str) -> Callable[[N], N]:
        """Return a decorator that registers a class under ``name`` and gives it that name as attribute.

        Raises
        ------
        RegistryError
            If the name is taken.
        """

        def add(cls: N) -> N:
            cls.name = name  # type: ignore[attr-defined]
            return self.register(name)(cls)  # type: ignore[arg-type, return-value]

        return add

    def discover(self, package: ModuleType | Any, infrastructure: Collection[str] = ()) -> None:
        """Import every module of ``package`` and require that each one registers something.

        Parameters
        ----------
        package : module
            The plug-in folder.
        infrastructure : collection of str
            The modules of that folder that hold shared code and register nothing.

        Raises
        ------
        RegistryError
            If a plug-in module registers nothing.
        """
        for found in pkgutil.iter_modules(package.__path__):
            if found.name in infrastructure:
                continue
            module = importlib.import_module(f"{package.__name__}.{found.name}")
            if module.__name__ not in self._modules.values():
                raise RegistryError(f"{module.__name__} registers no {self.kind}")

    def __getitem__(self, name: str) -> T:
        try:
            return self._entries[name]
        except (KeyError, TypeError):
            raise UnknownNameError(self.kind, name, self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> tuple[str, ...]:
        """Return the registered names, sorted."""
        return tuple(sorted(self._entries))

    def create(self, name: str, /, **options: Any) -> Any:
        """Build the dataclass registered under ``name`` from its options.

        Raises
        ------
        UnknownNameError
            If no entry has that name.
        OptionError
            If the entry has no such option; the message names the valid ones.
        """
        entry: Any = self[name]
        valid = [field.name for field in dataclasses.fields(entry) if field.init]
        for option in options:
            if option not in valid:
                raise unknown_option(f"{self.kind} {name!r}", option, valid)
        return entry(**options)
