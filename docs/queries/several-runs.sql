-- The best trial of each run, and what each run spent.
SELECT
    parse_dirpath(filename) AS run,
    count(*) FILTER (follow_up IS NULL) AS trials,
    sum(epochs) AS epochs,
    min(veer_pct) FILTER (rank = 1) AS best_pct,
    arg_min(trial, veer_pct) FILTER (rank = 1) AS best_trial
FROM read_parquet(
    ['runs/first/trials.parquet', 'runs/second/trials.parquet'],
    union_by_name = true, filename = true
)
WHERE same_as IS NULL
GROUP BY run
ORDER BY best_pct;
