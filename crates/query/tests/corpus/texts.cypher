RETURN substring('hällo', 1, 3), split('a,b', ','), 'abc' =~ 'a.*', replace('aa', 'a', 'b'), toUpper($name), left('abc', 2)
