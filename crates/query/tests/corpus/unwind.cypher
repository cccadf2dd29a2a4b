UNWIND [1, 2.5, 'x', null, [1], {a: 1}] AS x WITH x ORDER BY x RETURN x, CASE WHEN x = 1 THEN 'one' ELSE toString(1) END AS y
