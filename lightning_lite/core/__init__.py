"""Old import paths of Lightning App: `core.app`, `core.flow` and `core.work`."""
