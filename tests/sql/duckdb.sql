WITH read AS ( -- a run line of several pools is a line of each
  SELECT *, unnest(if(json_type(pool) = 'ARRAY', pool->>'$[*]', [pool->>'$'])) AS name
  FROM read_json('run.jsonl', format = 'newline_delimited', ignore_errors = true, columns = {
    type: 'TEXT', run_id: 'TEXT', pool: 'JSON', outcome: 'TEXT', token_source: 'TEXT', output_tokens: 'BIGINT',
    cap: 'JSON', "from": 'BIGINT', "to": 'BIGINT', started_at: 'TIMESTAMP_NS', pool_started_at: 'JSON',
    queued_at: 'TIMESTAMP_NS', admitted_at: 'TIMESTAMP_NS', released_at: 'TIMESTAMP_NS', "at": 'TIMESTAMP_NS'})
), lines AS (
  SELECT * REPLACE (name AS pool, coalesce(cap->>name, cap->>'$')::BIGINT AS cap,
                    coalesce((pool_started_at->>name)::TIMESTAMP_NS, started_at) AS started_at) FROM read
), spans AS ( -- from each step of the counts to the next
  SELECT run_id, pool, epoch_ns(lead(step.t) OVER w) - epoch_ns(step.t) AS ns,
         sum(step.waiting) OVER w > 0 AND sum(step.free) OVER w > 0 AS is_gap
  FROM lines, unnest(CASE
      WHEN type = 'run' AND "at" IS NULL THEN [{t: started_at, waiting: 0, free: cap}] -- with at, it goes on
      WHEN type = 'request' THEN [{t: queued_at, waiting: 1, free: 0}, {t: released_at, waiting: 0, free: 1},
                                  {t: coalesce(admitted_at, released_at), waiting: -1, free: -1}]
      WHEN type = 'cap' THEN [{t: "at", waiting: 0, free: "to" - "from"}]
      WHEN type IN ('backlog', 'backoff') THEN [{t: "at", waiting: "to" - "from", free: 0}]
      WHEN type IN ('sample', 'end') THEN [{t: "at", waiting: 0, free: 0}] END) AS _(step)
  WINDOW w AS (PARTITION BY run_id, pool ORDER BY step.t)
), times AS (
  SELECT run_id, pool, nullif(sum(ns), 0)::BIGINT * 0.000000001 AS window_time,
         coalesce(sum(ns) FILTER (is_gap), 0)::BIGINT * 0.000000001 AS gap_time
  FROM spans GROUP BY ALL
), tokens AS (
  SELECT run_id, pool, token_source, sum(output_tokens) AS tokens FROM lines WHERE outcome = 'completed' GROUP BY ALL
)
SELECT run_id, pool, window_time, gap_time, gap_time / window_time AS gap_fraction,
       token_source, tokens / window_time AS system_tps
FROM times LEFT JOIN tokens USING (run_id, pool) ORDER BY ALL;
