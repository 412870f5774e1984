"""What the person who runs Veer can mend.

VeerError
└── ConfigError           a config or space file, or an option on the command line
"""


class VeerError(Exception):
    """Root of the errors that are shown without a stack trace: the message says the fix."""


class ConfigError(VeerError, ValueError):
    """A setting breaks a rule; the message names the file and line, or the key."""
