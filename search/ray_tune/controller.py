"""Tune's loop, with an actor manager of Veer's, and with workers that finish their start.

Tune has an argument for neither: both classes are looked up in its modules.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ray import tune
from ray.tune.execution import tune_controller
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial

from search.ray_tune.actors import ActorManager

_TUNE_RUN = sys.modules[tune.run.__module__]


class PatientController(TuneController):
    """Tune's loop, in which a trial whose worker is starting waits for it.

    Ray 2.60 gives such a trial the worker of any trial that ends meanwhile, and kills its own.
    Where trials are shorter than the start of a process, which takes seconds, one worker runs all.
    """

    def _maybe_reuse_cached_actor(self, trial: Trial) -> bool:
        own = self._trial_to_actor.get(trial)
        # One that has no resources yet may wait for those of the worker that is free.
        if own is not None and own in self._actor_manager.live_actors:
            return False
        return bool(super()._maybe_reuse_cached_actor(trial))


@contextmanager
def own_controller() -> Iterator[None]:
    """Make `tune.run` inside this context use `PatientController` and `ActorManager`."""
    ours = (
        (tune_controller, "RayActorManager", ActorManager),
        (_TUNE_RUN, "TuneController", PatientController),
    )
    before = [(module, name, getattr(module, name)) for module, name, _ in ours]
    for module, name, value in ours:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
