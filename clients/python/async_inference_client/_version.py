"""The package's version, which its build and its User-Agent have from here."""

VERSION = "0.1.0"
