"""Objects built from YAML by `_target_`, and back: what methods, modelpools and taskpools have in common."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from fusion_kernels.errors import listing, quoted, suggest

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from typing_extensions import Self

Class = TypeVar("Class", bound=type)
_NOTES = ("_recursive_", "_usage_", "_version_")  # keys a config may carry that are nobody's parameter


class BaseYAMLSerializable:
    """An object whose attributes and YAML keys stand in `_config_mapping`: {attribute: key}.

    A subclass extends the mapping of its parent: `_config_mapping = Parent._config_mapping | {"attribute": "key"}`.
    """

    _config_key: ClassVar[str | None] = None  # the group it is found under in a whole run's configuration
    _config_mapping: ClassVar[dict[str, str]] = {name: name for name in _NOTES}

    def __init__(self, **kwargs: Any) -> None:
        """Takes what no subclass took. Raises TypeError naming a parameter that nobody knows."""
        for name in _NOTES:
            if name in kwargs:
                setattr(self, name, kwargs.pop(name))
        if kwargs:
            known = [key for key in self._config_mapping.values() if key not in _NOTES]
            unknown = next(iter(kwargs))
            raise TypeError(
                f"{type(self).__name__} has no parameter {unknown!r}; it has {listing(known) or 'none'}."
                f"{suggest(unknown, known)}"
            )

    @property
    def config(self) -> DictConfig:
        """The configuration that builds this object again; attributes not set yet are left out."""
        from omegaconf import OmegaConf

        values = {"_target_": f"{type(self).__module__}.{type(self).__qualname__}"}
        values |= {key: getattr(self, name) for name, key in self._config_mapping.items() if hasattr(self, name)}
        return OmegaConf.create(values, flags={"allow_objects": True})

    def to_yaml(self, path: str | os.PathLike[str], resolve: bool = True) -> None:
        """Writes `config` to a file. Raises what OmegaConf raises for values that YAML has no word for."""
        from omegaconf import OmegaConf

        OmegaConf.save(self.config, os.fspath(path), resolve=resolve)

    @classmethod
    def from_yaml(cls, path: str | os.PathLike[str]) -> Self:
        """The object a YAML file describes, either alone or under this class's key of a whole run's configuration.

        Raises TypeError where the file describes an object of another class.
        """
        from omegaconf import OmegaConf

        config: Any = OmegaConf.load(os.fspath(path))
        if cls._config_key is not None and cls._config_key in config:
            config = config[cls._config_key]
        made = instantiate(config)
        if not isinstance(made, cls):
            raise TypeError(f"{os.fspath(path)} describes a {type(made).__name__}, expected a {cls.__name__}")
        return made

    def register_parameter_to_config(self, attr_name: str, param_name: str, value: Any) -> None:
        """Sets an attribute that stands under `param_name` in this class's configurations."""
        setattr(self, attr_name, value)
        if "_config_mapping" not in type(self).__dict__:
            type(self)._config_mapping = dict(self._config_mapping)
        self._config_mapping[attr_name] = param_name


def auto_register_config(cls: Class) -> Class:
    """Makes every parameter of `__init__` an attribute and a key of the same name, before `__init__` runs."""
    original: Any = cls.__init__  # type: ignore[misc]
    signature = inspect.signature(original)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [name for name, one in list(signature.parameters.items())[1:] if one.kind not in variadic]
    mapping = dict(getattr(cls, "_config_mapping", {}))
    mapping |= {name: name for name in names if name not in mapping.values()}
    cls._config_mapping = mapping  # type: ignore[attr-defined]

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        given = signature.bind(self, *args, **kwargs)
        given.apply_defaults()
        for name in names:
            if not isinstance(getattr(type(self), name, None), property):
                setattr(self, name, given.arguments[name])
        original(self, *args, **kwargs)

    cls.__init__ = __init__  # type: ignore[misc]
    return cls


def instantiate(config: Any, *args: Any, **kwargs: Any) -> Any:
    """The object a mapping with `_target_` describes; `_recursive_: false` unless it says otherwise.

    Nested mappings stay configurations, so that a pool can build its members when they are needed.
    Raises ValueError for a mapping without `_target_` and for a target that cannot be imported.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate as build
    from omegaconf import OmegaConf

    if not isinstance(config, Mapping) and not hasattr(config, "keys"):
        raise ValueError(f"expected a mapping with a _target_, got {quoted(config)}")
    if "_target_" not in config:
        raise ValueError(f"no _target_ among the keys {listing(config)}: it names the class or function to call")
    recursive = config.get("_recursive_", False)
    arguments = config  # as it is, where it has a parent: ${...} may lead out of it
    if not OmegaConf.is_config(config):
        arguments = {key: config[key] for key in config if key != "_recursive_"}
    try:
        return build(arguments, *args, _recursive_=bool(recursive), **kwargs)
    except InstantiationException as error:
        cause = error.__cause__
        if cause is not None and not isinstance(cause, ImportError):
            raise cause from error
        raise ValueError(f"cannot build {config['_target_']}: {cause or error}") from error


def is_configuration(value: Any) -> bool:
    """Whether a configuration describes the value; OmegaConf's is no Mapping to Python. A state dict is none either."""
    return hasattr(value, "keys") and "_target_" in value
