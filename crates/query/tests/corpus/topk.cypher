MATCH (a)-[r]->(b) RETURN b.i AS far, a.i AS near, type(r) ORDER BY near DESC, far LIMIT 4
