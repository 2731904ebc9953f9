"""The state machines of the main process and of a work: messages in, messages out, without side effects."""
