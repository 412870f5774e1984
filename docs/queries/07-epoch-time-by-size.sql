-- Seconds an epoch by size of the model, in steps of a million parameters.
SELECT
    epochs.num_params // 1_000_000 AS from_million_params,
    count(DISTINCT trial) AS trials,
    round(avg(train_s), 2) AS train_s,
    round(avg(eval_s), 2) AS eval_s,
    round(avg(samples_per_s), 0) AS samples_per_s
FROM 'epochs.parquet' AS epochs
GROUP BY from_million_params
ORDER BY from_million_params;
