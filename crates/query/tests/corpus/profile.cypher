PROFILE MATCH (a:A)-[:T]->(b) WITH a, count(b) AS n WHERE n > 0 RETURN a.i, n
