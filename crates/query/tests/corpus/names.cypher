MATCH (n:A {i: 1}) RETURN n, n.i AS i, labels(n), id(n) ORDER BY i DESC SKIP 1 LIMIT 3
