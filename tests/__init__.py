"""The tests, as one package: its name keeps ``tests.codecs`` apart from the standard library's ``codecs``."""
