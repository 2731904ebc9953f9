"""What works print: from their pipes to log files and the terminal."""
