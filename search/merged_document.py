"""Settings of several sources as one document, whose mistakes are placed where they stand."""

from dataclasses import dataclass
from pathlib import Path

from spaces.complaints import Keys
from spaces.yaml_file import YamlDocument

# Stands for a settings file in messages where there is none.
NO_FILE = Path("command line")


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedDocument(YamlDocument):
    """A file, the command line over it (`given`), the space's suggestions under it."""

    given: frozenset[str]
    space: YamlDocument | None
    suggested: frozenset[str]

    def place_of(self, keys: Keys) -> str:
        """Where a key was given: a file with its line, or the command line."""
        if self.space is not None and keys and keys[0] in self.suggested:
            return self.space.place_of(("search", *keys))
        if self.path == NO_FILE or (keys and keys[0] in self.given):
            return str(NO_FILE)
        return YamlDocument.place_of(self, keys)
