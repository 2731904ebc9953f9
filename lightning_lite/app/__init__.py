"""An app and its runs: what puts tree, engine, runner, journal and terminal together."""
