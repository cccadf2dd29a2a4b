MATCH (a:A)-[r:T]->(b)<-[s]-(c:B) WHERE a.i < c.i AND r <> s RETURN a.i, b.i, c.i, type(r)
