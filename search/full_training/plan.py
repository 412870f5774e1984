"""How many processes train one model, and with what."""

from dataclasses import dataclass

from spaces.files.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """The processes that train one model.

    Attributes:
        number: How many.
        use_gpu: Whether each has a GPU of its own.
        num_threads: CPU threads of each; None for an equal share of the CPUs.
        address: The Ray cluster; None for this machine.
    """

    number: int
    use_gpu: bool = False
    num_threads: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        """Refuse what has an effect only with several processes.

        Raises:
            ConfigError: A GPU a worker or a cluster was asked for, and only one worker.
        """
        asked = {"--gpu": self.use_gpu, "--address": self.address is not None}
        needless = [name for name, value in asked.items() if value]
        if self.number == 1 and needless:
            raise ConfigError(
                f"{' and '.join(needless)} needs --workers of 2 or more, got 1; a single process "
                "chooses its GPU with --device"
            )
