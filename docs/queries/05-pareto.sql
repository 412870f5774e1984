-- The Pareto front: trials that no other beats in both VEER and parameters.
WITH ranked AS (
    SELECT trial, veer_pct, num_params
    FROM 'trials.parquet'
    WHERE rank IS NOT NULL AND same_as IS NULL
)
SELECT * FROM ranked AS one
WHERE NOT EXISTS (
    SELECT * FROM ranked AS other
    WHERE other.veer_pct <= one.veer_pct AND other.num_params <= one.num_params
        AND (other.veer_pct < one.veer_pct OR other.num_params < one.num_params)
)
ORDER BY num_params;
