"""User attributes of the Optuna study."""

from tests.worlds.journals import made_record
from tests.worlds.views import rebuild_study


def test_the_study_has_run_teacher_and_corpus() -> None:
    lists = {"train_list": "data/train.txt", "val_list": "data/val.txt", "train_dir": "wav"}
    begun = made_record("search_started", time_s=1.0, settings={"corpus": lists})
    teacher = made_record("teacher", path="t.model", veer_pct=7.5, num_params=3871904)
    records = [begun, teacher]
    assert rebuild_study(records, (), "first").user_attrs == {
        "run": "first",
        "corpus": "data/train.txt, data/val.txt",
        "teacher": "t.model",
        "teacher's VEER, %": 7.5,
        "teacher's parameters": 3871904,
    }
