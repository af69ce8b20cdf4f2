"""The verbs of the command: thin functions over the library, one a file."""
