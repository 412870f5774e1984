-- The best trial of each distillation loss, and how many were tried.
SELECT
    "param.loss.distillation" AS loss,
    count(*) AS trials,
    min(veer_pct) AS best_pct,
    arg_min(trial, veer_pct) AS best_trial
FROM 'trials.parquet'
WHERE rank IS NOT NULL AND same_as IS NULL
GROUP BY loss
ORDER BY best_pct;
