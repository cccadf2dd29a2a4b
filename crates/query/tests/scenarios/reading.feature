Feature: Reading

  Background:
    Given an empty graph
    And having executed:
      """
      CREATE (web:Service {name: 'web', tier: 1}), (cart:Service {name: 'cart', tier: 2}),
             (pay:Service {name: 'pay', tier: 2}), (db:Store {name: 'db'}), (lone:Service:Batch {name: 'lone'})
      CREATE (web)-[:CALLS {p95: 20.5}]->(cart), (web)-[:CALLS {p95: 80.0}]->(pay), (cart)-[:CALLS {p95: 9.0}]->(pay),
             (cart)-[:USES]->(db), (pay)-[:USES]->(db)
      """

  Scenario: A pattern binds its variables
    When executing query:
      """
      MATCH (a:Service)-[c:CALLS]->(b) RETURN a.name, b.name, c.p95
      """
    Then the result should be, in any order:
      | a.name | b.name | c.p95 |
      | 'web'  | 'cart' | 20.5  |
      | 'web'  | 'pay'  | 80.0  |
      | 'cart' | 'pay'  | 9.0   |

  Scenario: Rows are sorted and cut
    When executing query:
      """
      MATCH (a)-[c:CALLS]->(b) RETURN a.name + '>' + b.name AS way ORDER BY c.p95 DESC SKIP 1 LIMIT 1
      """
    Then the result should be, in order:
      | way        |
      | 'web>cart' |

  Scenario: What is missing is null
    When executing query:
      """
      MATCH (s:Service) OPTIONAL MATCH (s)-[:USES]->(d) RETURN s.name AS s, d.name AS d, s.nothing IS NULL AS n ORDER BY s
      """
    Then the result should be, in order:
      | s      | d    | n    |
      | 'cart' | 'db' | true |
      | 'lone' | null | true |
      | 'pay'  | 'db' | true |
      | 'web'  | null | true |

  Scenario: A walk uses no edge twice
    When executing query:
      """
      MATCH p = (:Service {name: 'web'})-[*]->(:Store) RETURN length(p) AS l, [n IN nodes(p) | n.name] AS way ORDER BY l, way
      """
    Then the result should be, in order:
      | l | way                          |
      | 2 | ['web', 'cart', 'db']        |
      | 2 | ['web', 'pay', 'db']         |
      | 3 | ['web', 'cart', 'pay', 'db'] |

  Scenario: One and all shortest paths
    When executing query:
      """
      MATCH (a {name: 'web'}), (b:Store)
      MATCH p = allShortestPaths((a)-[*]->(b))
      WITH a, b, count(p) AS all
      MATCH q = shortestPath((a)-[*]-(b))
      RETURN all, length(q) AS one
      """
    Then the result should be, in any order:
      | all | one |
      | 2   | 2   |

  Scenario: Groups and what is summed over them
    When executing query:
      """
      MATCH (s:Service) RETURN s.tier AS tier, count(*) AS n, collect(s.name) AS names ORDER BY tier
      """
    Then the result should be (ignoring element order for lists):
      | tier | n | names           |
      | 1    | 1 | ['web']         |
      | 2    | 2 | ['pay', 'cart'] |
      | null | 1 | ['lone']        |

  Scenario Outline: Aggregates
    When executing query:
      """
      UNWIND [4, null, 1, 1.5, 4] AS x RETURN <sum> AS r
      """
    Then the result should be, in any order:
      | r        |
      | <result> |

    Examples:
      | sum                     | result             |
      | count(x)                | 4                  |
      | count(DISTINCT x)       | 3                  |
      | sum(x)                  | 10.5               |
      | avg(x)                  | 2.625              |
      | min(x)                  | 1                  |
      | max(x)                  | 4                  |
      | percentileDisc(x, 0.5)  | 1.5                |
      | percentileCont(x, 0.5)  | 2.75               |
      | stDevP(x)               | 1.3863170633011772 |

  Scenario: Conditions with patterns and subqueries
    When executing query:
      """
      MATCH (s:Service)
      WHERE NOT (s)-[:USES]->() AND EXISTS { MATCH (s)-[:CALLS]->(x) WHERE x.tier = 2 RETURN x }
      RETURN s.name AS name, COUNT { (s)-->() } AS out, [(s)-[:CALLS]->(t) WHERE t.name < 'd' | t.name] AS some
      """
    Then the result should be, in any order:
      | name  | out | some     |
      | 'web' | 2   | ['cart'] |

  Scenario: Parts of a union
    When executing query:
      """
      MATCH (s:Service) RETURN s.tier AS x UNION MATCH (s:Store) RETURN s.tier AS x
      """
    Then the result should be, in any order:
      | x    |
      | 1    |
      | 2    |
      | null |

  Scenario: Parameters
    And parameters are:
      | name  | 'pay'          |
      | names | ['web', 'pay'] |
    When executing query:
      """
      MATCH (s {name: $name}) WHERE s.name IN $names RETURN labels(s) AS l, keys(s) AS k
      """
    Then the result should be, in any order:
      | l           | k                |
      | ['Service'] | ['name', 'tier'] |

  Scenario: A condition after WITH sees what was before it
    When executing query:
      """
      MATCH (s:Service) WITH s.name AS name ORDER BY s.name DESC WHERE s.tier = 2 RETURN name
      """
    Then the result should be, in order:
      | name   |
      | 'pay'  |
      | 'cart' |

  Scenario: Both directions, a loop once
    And having executed:
      """
      MATCH (d:Store) CREATE (d)-[:COPIES]->(d)
      """
    When executing query:
      """
      MATCH (:Store)-[r]-(n) RETURN type(r) AS t, count(*) AS n ORDER BY t
      """
    Then the result should be, in order:
      | t        | n |
      | 'COPIES' | 1 |
      | 'USES'   | 2 |
