"""The script is run by a test, and is no test itself."""

collect_ignore = ["ml_script.py"]
