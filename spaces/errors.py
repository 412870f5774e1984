"""What the person who runs Veer can mend.

VeerError
├── ConfigError           a config or space file, or an option on the command line
└── DiskFullError         no room to write a file; what was there before stands
"""


class VeerError(Exception):
    """Root of the errors that are shown without a stack trace: the message says the fix."""


class ConfigError(VeerError, ValueError):
    """A setting breaks a rule; the message names the file and line, or the key."""


class DiskFullError(VeerError, OSError):
    """A file could not be written for want of room; the message names it and the room needed."""
