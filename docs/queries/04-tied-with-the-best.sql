-- Trials that cannot be distinguished from the best, the smallest model first.
SELECT trial, veer_pct, behind_pct, behind_low_pct, behind_high_pct, num_params
FROM 'trials.parquet'
WHERE is_tied AND same_as IS NULL
ORDER BY num_params, trial;
