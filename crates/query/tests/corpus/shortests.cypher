MATCH (a:A), (b:B) MATCH p = allShortestPaths((a)-[:T*]->(b)) RETURN a.i, b.i, length(p), count(*)
