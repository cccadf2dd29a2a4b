MATCH (a)--(b)--(c) RETURN DISTINCT c.i, count(DISTINCT b), min(a.i), max(a.i)
