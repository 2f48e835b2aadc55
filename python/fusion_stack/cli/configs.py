"""The configuration files there are, by group, with what their first line says about them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "config"


@dataclass(frozen=True)
class ConfigFile:
    """`group`: "" for a root configuration. `name`: as written after `group=`. `path`: the file."""

    group: str
    name: str
    path: Path

    @property
    def summary(self) -> str:
        """The comment in the first line, or nothing."""
        with self.path.open(encoding="utf-8") as file:
            first = file.readline().strip()
        return first.lstrip("# ") if first.startswith("#") else ""


def find(folders: Iterable[str | Path] = ()) -> list[ConfigFile]:
    """Every configuration in the package and in the given folders, whose files hide the package's of the same name."""
    found: dict[tuple[str, str], ConfigFile] = {}
    for root in (SHIPPED, *map(Path, folders)):
        for path in sorted(root.rglob("*.yaml")):
            group, _, name = path.relative_to(root).with_suffix("").as_posix().partition("/")
            one = ConfigFile(group, name, path) if name else ConfigFile("", group, path)
            found[one.group, one.name] = one
    return [one for one in found.values() if one.group != "hydra"]
