RETURN 0x7fffffffffffffff + 0, 1e308 * 10, -5 % 3, 2 ^ 0.5, round(2.5), toInteger('12'), sqrt(-1), 1 / 0.0
