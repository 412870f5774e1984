-- VEER by hidden_dim: the best and the median trial of each width.
SELECT
    "param.model.hidden_dim" AS hidden_dim,
    count(*) AS trials,
    min(veer_pct) AS best_pct,
    median(veer_pct) AS median_pct
FROM 'trials.parquet'
WHERE rank IS NOT NULL AND same_as IS NULL
GROUP BY hidden_dim
ORDER BY hidden_dim;
