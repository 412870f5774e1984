"""Settings of several sources as one document, whose mistakes are placed where they stand."""

from dataclasses import dataclass
from pathlib import Path

from spaces.files.complaints import Keys
from spaces.files.overlaid import OverlaidDocument
from spaces.files.yaml_file import YamlDocument

# Stands for a settings file in messages where there is none.
NO_FILE = Path("command line")


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedDocument(OverlaidDocument):
    """A file, the command line over it, the space's suggestions under it."""

    space: YamlDocument | None
    suggested: frozenset[str]

    def place_of(self, keys: Keys) -> str:
        """Where a key was given: a file with its line, or the command line."""
        if self.space is not None and keys and keys[0] in self.suggested:
            return self.space.place_of(("search", *keys))
        return str(NO_FILE) if self.path == NO_FILE else OverlaidDocument.place_of(self, keys)
