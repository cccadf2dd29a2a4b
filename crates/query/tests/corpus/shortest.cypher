MATCH (a {i: 0}), (b {i: 3}) MATCH p = shortestPath((a)-[*..5]-(b)) RETURN [n IN nodes(p) | n.i]
