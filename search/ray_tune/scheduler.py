"""The coordinator behind Ray Tune's TrialScheduler interface: it takes results and stops trials.

Also here: the check that a worker built the config that the search asked for.
"""

from collections.abc import Mapping
from typing import Any

from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from search.loop.coordinator import Coordinator
from search.loop.shares import ResourceShare, ShareAllocator
from search.loop.trial_course import Fault
from search.ray_tune.hangs import HangWatch
from trainable.config.trial_config import TrialConfig
from trainable.machine.memory_share import OUT_OF_MEMORY
from trainable.report.epoch_report import EpochReport
from trainable.training.ray_trial import (
    CROWDED,
    DAMAGED,
    DISK_FULL,
    INVERTED,
    OUTCOME,
    PLACEMENT,
    REASON,
)

# Tune joins the keys of nested results with it, in `ray.tune.utils.flatten_dict`.
DELIMITER = "/"
# Ray adds fields of its own to a result; the journal gets only these.
REPORT_FIELDS = frozenset(EpochReport.model_fields) | {"num_params"}


class CoordinatorScheduler(FIFOScheduler):
    """Passes every result to the coordinator and its answer back to Ray.

    Args:
        coordinator: The search.
        allocator: The resources of a trial, and those after it ran out of memory.
        watch: Notified of every report.
    """

    def __init__(
        self, coordinator: Coordinator, allocator: ShareAllocator, watch: HangWatch
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._coordinator = coordinator
        self._allocator = allocator
        self._watch = watch

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pass an epoch's report, or the failure of a trial, to the coordinator."""
        del tune_controller
        number = int(trial.config["trial"])
        with self._coordinator.keeping_errors():
            epoch = result.get("epoch")
            is_new = epoch is not None and epoch not in self._coordinator.trials[number].veer_pct
            # Before the coordinator gets the report: afterwards every epoch is a known one.
            is_evaluated = not result.get("is_unevaluated")
            self._watch.reported(trial.trial_id, is_new=is_new, is_evaluated=is_evaluated)
            goes_on = self._take(number, result, trial.config)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def out_of_memory(self, task: Mapping[str, Any], message: str) -> None:
        """Run a trial again with twice its share, or end it if it had the largest share.

        Args:
            task: The trial's Ray config.
            message: The error of the allocation that failed.
        """
        number = int(task["trial"])
        had = ResourceShare(num_cpus=task["num_cpus"], num_gpus=task["num_gpus"])
        raised = self._allocator.doubled(had)
        if raised is not None:
            self._coordinator.out_of_memory(number, raised, message)
        else:
            reason = f"out of memory with {self._allocator.largest_in_words()}: {message}"
            self._coordinator.end(number, "failed", reason)

    def _take(self, number: int, result: dict[str, Any], task: Mapping[str, Any]) -> bool:
        """Pass each part of a result to the coordinator; return whether the trial continues."""
        if (placement := placement_in(result)) is not None:
            self._coordinator.record_placement(number, placement)
            config = self._coordinator.trials[number].config
            if (reason := config_mismatch(config, placement)) is not None:
                self._coordinator.end(number, "failed", reason)
                return False
        # Before the outcome, so that the journal has the fault before the end of the trial.
        for message in result.get(DAMAGED, ()):
            self._coordinator.note(number, Fault(kind="checkpoint_damaged", message=message))
        if (message := result.get(CROWDED)) is not None:
            self._coordinator.note(number, Fault(kind="gpu_crowded", message=message))
        match result.get(OUTCOME):
            case None:
                report = {name: value for name, value in result.items() if name in REPORT_FIELDS}
                epoch, veer_pct = report.pop("epoch"), report.pop("veer_pct")
                return self._coordinator.report(number, epoch, veer_pct, report)
            case value if value == OUT_OF_MEMORY:
                self.out_of_memory(task, result[REASON])
            case value if value == DISK_FULL:
                # The journal may be on the same disk, so no record is written: the trial stays
                # unfinished, and `veer resume` continues it.
                self._coordinator.halt("disk_full", result[REASON])
            case value if value == INVERTED:
                # No trial of this list can be compared, so none is recorded as ended.
                self._coordinator.halt("inverted", result[REASON])
            case state:
                self._coordinator.end(number, state, result[REASON])
        return False


def placement_in(result: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return where a trial was started, from `trial_task.placement_of`; None in later results.

    Args:
        result: As Tune passes it to a scheduler, which may be flat: the key `place/host` stands
            for the key `host` of the dict `place`.
    """
    if PLACEMENT in result:
        return dict(result[PLACEMENT])
    placement: dict[str, Any] = {}
    for key, value in result.items():
        if not key.startswith(PLACEMENT + DELIMITER):
            continue
        *outer, name = key.split(DELIMITER)[1:]
        inner = placement
        for each in outer:
            inner = inner.setdefault(each, {})
        inner[name] = value
    return placement or None


def config_mismatch(asked: TrialConfig, placement: Mapping[str, Any]) -> str | None:
    """Return why a trial cannot count if its worker built another config's trainer, else None.

    Args:
        asked: The trial's config.
        placement: The worker's report, from `trial_task.placement_of`. One without a config hash
            passes: the comparison of versions covers such workers.
    """
    wanted, built = asked.config_hash(), placement.get("config_hash")
    if built in (wanted, None):
        return None
    return (
        f"the worker on {placement['host']} built a trainer of config {built}, the trial's is "
        f"{wanted}: install the same Veer on every node, then continue the search"
    )
