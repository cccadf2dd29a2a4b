MATCH (n) WHERE n.i IN $list AND n[$key] > 0 RETURN n {.i} AS m, $map.a[0]
