"""The two state machines, pure: messages in, messages out; no process, no clock, no file."""
