"""Models of the person's own: checked before a search's first trial, allowed in its workers."""

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

FAMILY = "model.family"


def check_own_models(settings: SearchConfig, space: Space) -> None:
    """Build each model of the person's own that the search can meet, at the ends of its ranges.

    Nothing is written. A search without such models is not delayed.

    Raises:
        ConfigError: One may not be built, or cannot; with the values that it was built with.
    """
    check_user_teacher(settings.teacher)
    for params in _probes(space):
        config = load_mapping(TrialConfig, space.tree(params), f"space {space.name}")
        require_permission(f"space {space.name} (model.family {config.model.family})")
        try:
            check_user_model(config.model)
        except ConfigError as error:
            values = ", ".join(f"{key} {value}" for key, value in params.items() if _is_own(key))
            raise ConfigError(f"{error}" + (f" (with {values})" if values else "")) from error


def _is_own(name: str) -> bool:
    return name.startswith("model.") and name != FAMILY


def _probes(space: Space) -> Iterator[Params]:
    """Yield parameters for each family of the person's own: the first values, then each bound."""
    by_name = {each.name: each for each in space.dimensions}
    families = (
        by_name[FAMILY].extremes() if FAMILY in by_name else [space.fixed_values().get(FAMILY)]
    )
    seen: list[Params] = []
    for family in filter(is_custom_family, families):
        for name, dimension in by_name.items():
            needed = allowed_values(dimension, by_name)
            forced = {key: values[0] for key, values in needed.items()} | {FAMILY: family}
            for value in dimension.extremes() if _is_own(name) else [dimension.extremes()[0]]:
                params = space.params_with({name: value} | forced)
                if params not in seen:
                    seen.append(params)
                    yield params
