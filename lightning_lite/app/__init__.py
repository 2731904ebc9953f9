"""Apps and their runs: connects tree, engine, runner, journal and terminal."""
