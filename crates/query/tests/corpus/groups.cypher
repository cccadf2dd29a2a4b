MATCH (a)-[:T|U]->(b) WITH b.i AS k, count(*) AS n, collect(a.i) AS all WHERE n > 1 RETURN k, n, size(all) ORDER BY n, k
