-- Learning curves of the best three side by side: a row an epoch, a column a trial.
PIVOT (
    SELECT epoch, rank, veer_pct
    FROM 'epochs.parquet' JOIN (
        SELECT trial, rank FROM 'trials.parquet' WHERE rank <= 3 AND same_as IS NULL
    ) USING (trial)
)
ON 'rank ' || rank USING first(veer_pct) GROUP BY epoch ORDER BY epoch;
