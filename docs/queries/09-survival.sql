-- How many of the search's own trials came to each epoch, and the best and median VEER there.
SELECT
    epoch,
    count(*) AS trials,
    min(epochs.veer_pct) AS best_pct,
    median(epochs.veer_pct) AS median_pct
FROM 'epochs.parquet' AS epochs JOIN 'trials.parquet' AS trials USING (trial)
WHERE trials.follow_up IS NULL
GROUP BY epoch
ORDER BY epoch;
