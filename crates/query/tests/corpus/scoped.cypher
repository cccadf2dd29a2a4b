MATCH (s:Service {name: 'web'})-[d:depends_on*1..2]->(t) RETURN t.name, t.first_seen, [x IN d | x.count] LIMIT 2
