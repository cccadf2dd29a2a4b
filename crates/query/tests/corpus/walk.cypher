MATCH p = (a {i: 0})-[r:T*1..3]->(b) WHERE ALL(n IN nodes(p) WHERE n.i >= 0) RETURN length(p), [n IN nodes(p) | n.i], size(r)
