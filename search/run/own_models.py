"""Check of user-defined models before the first trial of a search."""

from collections.abc import Iterator

from models.custom_config import is_custom_family
from models.user_code import require_permission
from search.config.search_config import SearchConfig
from spaces.conditions import Params
from spaces.files.errors import ConfigError
from spaces.files.yaml_file import load_mapping
from spaces.reading.space_checks import allowed_values
from spaces.space import Space
from trainable.checkpoints.user_models import check_user_model, check_user_teacher
from trainable.config.trial_config import TrialConfig

_FAMILY = "model.family"


def check_own_models(settings: SearchConfig, space: Space) -> None:
    """Build each user-defined model of the space, at the ends of its ranges.

    Nothing is written. A search without such models is not delayed.

    Raises:
        ConfigError: User code is not allowed, or a model cannot be built. The message has the
            values that it was built with.
    """
    check_user_teacher(settings.teacher)
    for params in _corner_params(space):
        config = load_mapping(TrialConfig, space.tree(params), f"space {space.name}")
        # Before the check, which runs the user's code.
        require_permission(f"space {space.name} (model.family {config.model.family})")
        try:
            check_user_model(config.model)
        except ConfigError as error:
            values = ", ".join(
                f"{key} {value}" for key, value in params.items() if _is_model_setting(key)
            )
            raise ConfigError(f"{error}" + (f" (with {values})" if values else "")) from error


def _is_model_setting(name: str) -> bool:
    return name.startswith("model.") and name != _FAMILY


def _corner_params(space: Space) -> Iterator[Params]:
    """Yield parameters of each user-defined family, with each setting at its ends in turn."""
    by_name = {each.name: each for each in space.dimensions}
    families = (
        by_name[_FAMILY].extremes() if _FAMILY in by_name else [space.fixed_values().get(_FAMILY)]
    )
    seen: list[Params] = []
    for family in filter(is_custom_family, families):
        for name, dimension in by_name.items():
            # Values that its conditions require, so that the dimension is active.
            needed = allowed_values(dimension, by_name)
            forced = {key: values[0] for key, values in needed.items()} | {_FAMILY: family}
            for value in (
                dimension.extremes() if _is_model_setting(name) else [dimension.extremes()[0]]
            ):
                params = space.params_with({name: value} | forced)
                # Conditions map different values to the same parameters; a build takes time.
                if params not in seen:
                    seen.append(params)
                    yield params
