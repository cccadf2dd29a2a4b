Feature: Values

  Scenario Outline: Expressions
    Given any graph
    When executing query:
      """
      RETURN <expression> AS r
      """
    Then the result should be, in any order:
      | r        |
      | <result> |

    Examples:
      | expression                                               | result                     |
      | 2 + 3 * 4 ^ 2 / 8                                        | 8.0                        |
      | -9223372036854775808                                     | -9223372036854775808       |
      | 7 / 2                                                    | 3                          |
      | -7 % 3                                                   | -1                         |
      | 1 < 2 < 3                                                | true                       |
      | null = null                                              | null                       |
      | [1, null] = [1, 2]                                       | null                       |
      | [1, null] = [2, null]                                    | false                      |
      | 1 = 1.0                                                  | true                       |
      | 0.0 / 0.0 > 1                                            | false                      |
      | 'a' + 1                                                  | 'a1'                       |
      | 'e2e' =~ 'e[0-9]e'                                       | true                       |
      | 'xe2e' =~ 'e[0-9]e'                                      | false                      |
      | [1, 2, 3][-1]                                            | 3                          |
      | [1, 2, 3, 4][1..-1]                                      | [2, 3]                     |
      | {a: {b: 1}}.a.b                                          | 1                          |
      | all(x IN [1, null] WHERE x > 0)                          | null                       |
      | single(x IN [1, 2] WHERE x = 2)                          | true                       |
      | reduce(s = 0, x IN range(1, 4) \| s + x * x)             | 30                         |
      | [x IN range(0, 9, 3) WHERE x > 0 \| x / 3]               | [1, 2, 3]                  |
      | CASE 3 WHEN 1 THEN 'one' WHEN 3 THEN 'three' END         | 'three'                    |
      | substring('lolomo', 2, 3)                                | 'lom'                      |
      | split('a,b', ',')                                        | ['a', 'b']                 |
      | toInteger('12x')                                         | null                       |
      | coalesce(null, 2)                                        | 2                          |
      | duration('P1Y2M3DT4H5M6.5S')                             | 'P1Y2M3DT4H5M6.5S'         |
      | duration({months: 0.75})                                 | 'P22DT19H51M49.5S'         |
      | date('2026-W48-2') + duration({months: 3, days: 1})      | '2027-02-25'               |
      | date('2026-01-31') + duration('P1M')                     | '2026-02-28'               |
      | datetime('2026-11-24T12:05Z').epochMillis                | 1795521900000              |
      | datetime({epochSeconds: 0, timezone: 'Europe/Stockholm'}) | '1970-01-01T01:00+01:00[Europe/Stockholm]' |
      | datetime.truncate('hour', datetime('2026-11-24T12:05:07Z')) | '2026-11-24T12:00Z'     |
      | duration.between(date('2026-01-31'), date('2026-03-01')) | 'P1M1D'                    |
      | duration.inSeconds(datetime('2017-10-29T00:00[Europe/Stockholm]'), datetime('2017-10-29T04:00[Europe/Stockholm]')) | 'PT5H' |

  Scenario Outline: Errors
    Given any graph
    When executing query:
      """
      <query>
      """
    Then a <kind> should be raised at <time>: <detail>

    Examples:
      | query                                  | kind          | time         | detail                         |
      | RETURN 1 +                             | SyntaxError   | compile time | UnexpectedSyntax               |
      | RETURN x                               | SyntaxError   | compile time | UndefinedVariable              |
      | RETURN foo(1)                          | SyntaxError   | compile time | UnknownFunction                |
      | MATCH (n) RETURN n.a + count(n)        | SyntaxError   | compile time | AmbiguousAggregationExpression |
      | MATCH (n) WHERE count(n) > 1 RETURN n  | SyntaxError   | compile time | InvalidAggregation             |
      | MATCH (n) WITH n.a RETURN n            | SyntaxError   | compile time | NoExpressionAlias              |
      | MATCH (r)-[r]->() RETURN r             | SyntaxError   | compile time | VariableTypeConflict           |
      | RETURN 9223372036854775808             | SyntaxError   | compile time | IntegerOverflow                |
      | RETURN $nothing                        | ParameterMissing | compile time | MissingParameter            |
      | RETURN NOT 1                           | SyntaxError   | compile time | InvalidArgumentType            |
      | UNWIND [1] AS x RETURN x.name          | TypeError     | compile time | InvalidArgumentType            |
      | RETURN 9223372036854775807 + 1         | ArgumentError | runtime      | NumberOutOfRange               |
      | RETURN 1 / 0                           | ArgumentError | runtime      | NumberOutOfRange               |
      | RETURN date('2026-02-30')              | TypeError     | runtime      | InvalidArgumentValue           |
      | RETURN 'a' =~ '('                      | ArgumentError | runtime      | InvalidRegularExpression       |
