"""The output of works: from their pipes to log files and the terminal."""
