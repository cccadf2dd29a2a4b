/* one */ MATCH (`a b`:A) // two
RETURN `a b`.i AS `x``y`, 'it\'s \u00e4'
