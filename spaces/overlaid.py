"""A file with settings of the command line laid over it, which are not blamed on the file."""

from dataclasses import dataclass

from spaces.files.complaints import Keys, dotted
from spaces.files.yaml_file import YamlDocument


@dataclass(frozen=True, kw_only=True, slots=True)
class OverlaidDocument(YamlDocument):
    """A file's mapping, with other values in it than the file's.

    Attributes:
        over: The keys, from the root, of the values that are not the file's.
        source: Where these came from, for messages.
    """

    over: frozenset[Keys]
    source: str

    def place_of(self, keys: Keys) -> str:
        """Where a value is: the file's line, or the source of what was laid over it.

        A rule about several values, of which only some were laid over, names these.
        """
        if any(keys[: len(each)] == each for each in self.over):
            return self.source
        place = str(self.path) if not keys else YamlDocument.place_of(self, keys)
        within = sorted(dotted(each) for each in self.over if each[: len(keys)] == keys)
        if within:
            return f"{place} with {', '.join(within)} from the {self.source}"
        return YamlDocument.place_of(self, keys)
