MATCH (a:A) OPTIONAL MATCH (a)-[:U]->(b:B {i: 2}) RETURN a.i, b.i, b IS NULL
