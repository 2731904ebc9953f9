"""The terminal: lines of works, the live view, the summary and reports of failures."""
