"""The programs of the servers of frontends; each is a process of its own."""
