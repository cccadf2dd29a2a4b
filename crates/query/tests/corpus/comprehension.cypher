MATCH (a:A) RETURN a.i, [(a)-[:T]->(b) WHERE b.i > 0 | b.i] AS next, reduce(s = 0, x IN [1, 2, 3] | s + x) AS sum
