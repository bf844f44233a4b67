WITH lines AS ( -- line by line, since JSONEachRow would lose the line after a torn one too
  SELECT JSONExtract(line, 'Tuple(type String, run_id String, pool String, outcome String,
    token_source Nullable(String), output_tokens Nullable(UInt64), cap Int64, from Int64, to Int64,
    started_at DateTime64(9), queued_at DateTime64(9), admitted_at Nullable(DateTime64(9)),
    released_at DateTime64(9), at DateTime64(9))') AS l,
    -- a run line of several pools is a line of each
    arrayJoin(if(JSONType(line, 'pool') = 'Array', JSONExtract(line, 'pool', 'Array(String)'), [l.pool])) AS pool,
    if(JSONType(line, 'cap') = 'Object', JSONExtractInt(line, 'cap', pool), l.cap) AS cap,
    ifNull(JSONExtract(line, 'pool_started_at', pool, 'Nullable(DateTime64(9))'), l.started_at) AS started_at,
    l.type = 'run' AND NOT JSONHas(line, 'at') AS begins -- with at, it goes on
  FROM file('run.jsonl', LineAsString) WHERE isValidJSON(line)
), spans AS ( -- from each step of the counts to the next
  SELECT l.run_id AS run_id, pool, lead(step.1, 1, step.1) OVER w - step.1 AS time,
         sum(step.2) OVER w > 0 AND sum(step.3) OVER w > 0 AS is_gap
  FROM lines ARRAY JOIN multiIf( -- (when, waiting, free)
      begins, [(started_at, 0, cap)],
      l.type = 'request', [(l.queued_at, 1, 0), (l.released_at, 0, 1),
                           (ifNull(l.admitted_at, l.released_at), -1, -1)],
      l.type = 'cap', [(l.at, 0, l.to - l.from)],
      l.type IN ('backlog', 'backoff'), [(l.at, l.to - l.from, 0)],
      l.type IN ('sample', 'end'), [(l.at, 0, 0)], []) AS step
  WINDOW w AS (PARTITION BY run_id, pool ORDER BY step.1)
), times AS (
  SELECT run_id, pool, nullIf(sum(time), 0) AS window_time, sumIf(time, is_gap) AS gap_time FROM spans GROUP BY ALL
), tokens AS (
  SELECT l.run_id AS run_id, pool, l.token_source AS token_source, sum(l.output_tokens) AS tokens
  FROM lines WHERE l.outcome = 'completed' GROUP BY ALL
)
SELECT run_id, pool, window_time, gap_time, gap_time / window_time AS gap_fraction,
       token_source, tokens / window_time AS system_tps
FROM times LEFT JOIN tokens USING (run_id, pool) ORDER BY ALL
SETTINGS date_time_input_format = 'best_effort';
