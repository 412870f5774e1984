from types import SimpleNamespace

from results.journal import Journal
from results.run_folder import RunFolder
from search.checkpoint_keeper import CheckpointKeeper


def trial(number, state, best_veer_pct):
    return SimpleNamespace(trial=number, state=state, best_veer_pct=best_veer_pct)


def test_only_the_best_and_the_unfinished_keep_their_weights(tmp_path):
    Journal(tmp_path / "journal.jsonl").close()
    trials = [
        trial(0, "complete", 9.0),
        trial(1, "stopped_early", 8.0),
        trial(2, "diverged", 1.0),
        trial(3, "failed", None),
        trial(4, None, 30.0),
        trial(5, "complete", 7.0),
    ]
    run = RunFolder(tmp_path)
    for each in trials:
        model = run.trial(each.trial) / "model"
        model.mkdir(parents=True)
        (model / "model000000001.model").write_bytes(b"weights")
    keeper = CheckpointKeeper(run, keep_best=2)
    keeper.tidy(SimpleNamespace(trials=trials))
    kept = sorted(int(path.parents[1].name) for path in tmp_path.glob("trials/*/model/*.model"))
    assert kept == [1, 4, 5]
