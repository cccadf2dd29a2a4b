MATCH (a) WHERE EXISTS { (a)-[:T]->(:B) } AND NOT (a)<-[:U]-() RETURN a.i, COUNT { (a)--() } AS d
