WITH date('2020-02-29') AS d, duration('P1Y2M3DT4.5S') AS l RETURN d + l, datetime('2020-01-01T00:00:00[Europe/Berlin]').offset, duration.between(d, date('2021-01-01'))
