"""The part that the main process and works share: how they exchange messages and signals, and settings.

Messages on pipes, also those about the terminal; the poller that waits for pipes; signals with a meaning;
settings of the interpreter that works take over; the handler of works for the log files of the app.
"""
