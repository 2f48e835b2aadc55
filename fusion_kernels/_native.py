"""The extension module, imported once and checked to be of this package's version."""

from __future__ import annotations

from functools import lru_cache
from types import ModuleType

from fusion_kernels._version import __version__


@lru_cache(maxsize=1)
def native() -> ModuleType:
    """Return the extension module `_fusion_kernels`.

    Raises:
        ImportError: it is not built, or was built from another version than this package.
    """
    try:
        import _fusion_kernels
    except ImportError as error:
        raise ImportError(
            f"the native engine of fusion_kernels is not installed ({error}); "
            "install the package with `pip install .`, or `make build` in a checkout"
        ) from error
    if _fusion_kernels.__version__ != __version__:
        raise ImportError(
            f"fusion_kernels is version {__version__}, its native engine {_fusion_kernels.__version__}; "
            "reinstall with `pip install --force-reinstall .`"
        )
    module: ModuleType = _fusion_kernels
    return module
