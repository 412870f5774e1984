-- Does more of the teacher in the loss go with a lower VEER? By fifths of the share.
SELECT
    least(floor(5 * distill_share), 4) / 5 AS from_share,
    count(*) AS trials,
    min(veer_pct) AS best_pct,
    median(veer_pct) AS median_pct,
    round(avg(teacher_cosine), 3) AS teacher_cosine
FROM 'trials.parquet'
WHERE rank IS NOT NULL AND same_as IS NULL AND distill_share IS NOT NULL
GROUP BY from_share
ORDER BY from_share;
