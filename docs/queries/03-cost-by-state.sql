-- What trials cost by how they ended: the epochs that early stopping spent, those that failed.
SELECT
    coalesce(follow_up, state) AS kind,
    count(*) AS trials,
    sum(epochs) AS epochs,
    round(100 * sum(epochs) / sum(sum(epochs)) OVER (), 1) AS epochs_pct,
    round(sum(duration_s) / 3600, 3) AS hours,
    round(sum(core_hours), 3) AS core_hours
FROM 'trials.parquet'
WHERE same_as IS NULL
GROUP BY kind
ORDER BY epochs DESC, kind;
