"""What goes wrong with data, checkpoints and training, and can be mended by a person.

VeerError                 (spaces.files.errors)
├── ConfigError           (spaces.files.errors)
├── DiskFullError         (spaces.files.errors)
├── CorpusError           lists and audio; carries every fault found
├── CheckpointError       a model file that cannot be used as asked
│   └── DamagedError      its bytes are not those that were written
├── StoreError            computed features that cannot be kept or read
├── RunError              a run folder that cannot be used as asked
└── TrainingError         training cannot go on
    ├── DivergedError     the loss is no longer finite
    ├── DeviceError       a GPU or its driver failed; the process cannot use it any more
    └── BusyError         another process trains the same trial
"""

from collections.abc import Sequence


class VeerError(Exception):
    """Root of the errors that are shown without a stack trace: the message says the fix."""


class ConfigError(VeerError, ValueError):
    """A setting breaks a rule; the message names the file and line, or the key."""


class DiskFullError(VeerError, OSError):
    """A file could not be written for want of room; the message names it and the room needed."""


__all__ = [
    "BusyError",
    "CheckpointError",
    "ConfigError",
    "CorpusError",
    "DamagedError",
    "DeviceError",
    "DiskFullError",
    "DivergedError",
    "RunError",
    "StoreError",
    "TrainingError",
    "VeerError",
]

MAX_SHOWN_FAULTS = 50


class CorpusError(VeerError):
    """Faults of a corpus, all at once.

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
    """A model file holds other bytes than were written: cut short, altered, or none of Veer's."""


class StoreError(VeerError):
    """The cache of computed features cannot be written, read, or used as asked."""


class RunError(VeerError):
    """A run folder is missing, damaged, in use, or belongs to another run."""


class TrainingError(VeerError):
    """Training cannot start or cannot go on."""


class DivergedError(TrainingError):
    """The training loss became NaN or infinite."""


class DeviceError(TrainingError):
    """A GPU or its driver failed in a way that this process does not recover from."""


class BusyError(TrainingError):
    """Another process still trains this trial; once it has ended, the trial can go on."""
