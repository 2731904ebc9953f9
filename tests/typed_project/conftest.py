"""These modules are for type checkers; `--doctest-modules` would import them, and so run the app."""

collect_ignore = ["app.py", "right_types.py", "wrong_lines.py"]
