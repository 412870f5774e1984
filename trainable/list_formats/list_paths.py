"""The paths that a converted list has, from utterances of Kaldi or paths of another machine."""

import re
from collections import Counter
from pathlib import Path

from spaces.files.complaints import short_repr
from spaces.files.errors import ConfigError
from trainable.list_formats.layouts import is_path
from trainable.list_formats.list_text import read_text
from trainable.list_formats.listed_files import ListedFiles

# Programs that pass on the samples of the one file that they are given.
_PASSING = ("cat", "sox", "flac")
# In SpeechBrain's CSV `$data_root/`: the folder of the audio, which its reader puts there.
_PLACEHOLDER = re.compile(r"^\$\w+/")
_AUDIO = (".wav", ".flac", ".WAV", ".FLAC", ".aiff", ".aif", ".w64")


class ListPaths:
    """The paths of a converted list: files for utterances, below the root, without faults.

    Args:
        root: Folder of the files; None to leave the paths as they are.
        wav_scp: Kaldi's file with lines 'UTTERANCE PATH'; None if the list names files.

    Attributes:
        repaired: How often each path was written otherwise.
        lacking: Paths without a file, in their order.

    Raises:
        ConfigError: There is no such folder, or the file cannot be read.
    """

    def __init__(self, root: Path | None, wav_scp: Path | None) -> None:
        if root is not None and not root.is_dir():
            raise ConfigError(f"there is no folder {root}")
        self._files = None if root is None else ListedFiles(root)
        self._wav_scp = wav_scp
        self._path_of = {} if wav_scp is None else read_wav_scp(wav_scp)
        self.repaired: Counter[str] = Counter()
        self.lacking: dict[str, None] = {}

    def of(self, name: str) -> str:
        """Return the path to write for a path or an utterance of the list.

        Raises:
            ValueError: There is none; states why.
        """
        path = name
        # An utterance's name may look like a path, and a list with a wav.scp may have paths.
        if name in self._path_of:
            path = self._path_of[name]
        elif self._wav_scp is not None and not is_path(name):
            raise ValueError(f"{self._wav_scp} has no utterance {short_repr(name)}")
        path = _PLACEHOLDER.sub("", path)
        if len(path.split()) != 1:
            raise ValueError(f"a path must not have white space, got {short_repr(path)}")
        if self._files is None:
            return path
        written = self._files.relative(path)
        if self._files.fault(written) is not None:
            near = self._files.near(written)
            if near is None:
                self.lacking.setdefault(path)
            written = written if near is None else near.path
        self.repaired[path] += written != path
        return written


def read_wav_scp(file: Path) -> dict[str, str]:
    """Return the file of each utterance of Kaldi's wav.scp.

    Of a command, it is the one audio file that `cat`, `flac` or `sox` passes on.

    Raises:
        ConfigError: A line has no path, or a command that changes the samples.
    """
    path_of = {}
    for number, line in enumerate(read_text(file).lines, 1):
        words = line.split()
        if not words:
            continue
        found = words[1:] if words[-1] != "|" else _passed_on(words[1:-1])
        if len(found) != 1:
            raise ConfigError(
                f"{file}:{number}: must be 'UTTERANCE PATH', or a command of {', '.join(_PASSING)}"
                f" that passes on one file, got {short_repr(line.strip())}; write files with the "
                "command, and their paths in its place"
            )
        path_of[words[0]] = found[0]
    return path_of


def _passed_on(command: list[str]) -> list[str]:
    """Return the audio files that a command passes on; none if it may change the samples."""
    # After its output, sox has effects: another speed, another channel.
    has_effects = "-" in command[:-1] and command[0] == "sox"
    if not command or Path(command[0]).name not in _PASSING or "|" in command or has_effects:
        return []
    return [word for word in command[1:] if is_path(word) and word.endswith(_AUDIO)]
