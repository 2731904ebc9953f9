"""The classes and functions that apps of Lightning App import besides ours, under the names from there."""
