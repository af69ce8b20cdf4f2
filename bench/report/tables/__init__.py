"""Boards and comparisons as tables: Markdown, CSV, cells of the page. Numbers are rounded here and in figures alone."""
