"""Errors that a user can fix: in settings, files, data, checkpoints, runs and training.

VeerError                 root; shown by the command line without a stack trace
├── ConfigError           a setting breaks a rule
├── DiskFullError         no room to write a file
├── CorpusError           lists and audio; carries every fault found
├── CheckpointError       a model file that cannot be used as requested
│   └── DamagedError      its bytes are not those that were written
├── ConversionError       a network that a form of deployment cannot hold
├── StoreError            computed features that cannot be kept or read
├── StorageError          object storage that does not answer, or not as it must
├── RunError              a run folder that cannot be used as requested
└── TrainingError         training cannot continue
    ├── DivergedError     the loss is no longer finite
    ├── DeviceError       a GPU or its driver failed; the process cannot use it any more
    └── BusyError         another process trains the same trial
"""

from collections.abc import Sequence

# A corpus with a wrong root folder has one fault for every line of its lists.
MAX_SHOWN_FAULTS = 50


class VeerError(Exception):
    """Root of the errors that are shown without a stack trace: the message states the fix."""


class ConfigError(VeerError, ValueError):
    """A setting breaks a rule; the message names the file and line, or the key."""


class DiskFullError(VeerError, OSError):
    """A file could not be written for lack of room; the message names it and the bytes needed."""


class CorpusError(VeerError):
    """All faults of a corpus together.

    Attributes:
        faults: Every fault, one sentence each, with file and line.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        shown = list(self.faults[:MAX_SHOWN_FAULTS])
        if len(self.faults) > MAX_SHOWN_FAULTS:
            shown.append(f"... and {len(self.faults) - MAX_SHOWN_FAULTS} more")
        super().__init__("\n".join(shown))


class CheckpointError(VeerError):
    """A model file is missing, damaged, or not what the caller needs."""


class DamagedError(CheckpointError):
    """A model file holds other bytes than were written: cut short, altered, or not from Veer."""


class ConversionError(VeerError):
    """A network cannot be converted to a form, or the form computes something else."""


class StoreError(VeerError):
    """The cache of computed features cannot be written, read, or used as requested."""


class StorageError(VeerError):
    """Object storage cannot be reached, refuses, or answers with less than it has."""


class RunError(VeerError):
    """A run folder is missing, damaged, in use, or belongs to another run."""


class TrainingError(VeerError):
    """Training cannot start or cannot continue."""


class FirstProcessError(TrainingError):
    """The first of several processes that train together ended with an error, which it reports."""


class DivergedError(TrainingError):
    """The training loss became NaN or infinite."""


class DeviceError(TrainingError):
    """A GPU or its driver failed in a way that this process cannot recover from."""


class BusyError(TrainingError):
    """Another process still trains this trial; it can be resumed when that process has ended."""
