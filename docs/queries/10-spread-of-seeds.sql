-- The effect of the seed: each repeated config's own run next to the spread of its repeats.
SELECT
    first.trial,
    first.median_veer_pct AS own_pct,
    count(*) AS repeats,
    avg(again.median_veer_pct) AS mean_pct,
    stddev_samp(again.median_veer_pct) AS sd_pct
FROM 'trials.parquet' AS again JOIN 'trials.parquet' AS first ON again.follows = first.trial
WHERE again.follow_up = 'repeat' AND again.state = 'complete'
GROUP BY ALL
ORDER BY mean_pct;
