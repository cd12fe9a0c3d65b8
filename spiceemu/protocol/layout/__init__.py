"""How a record is declared on construct, and the functions that are compiled of a declaration."""
