"""The page in the browser: an HTTP server on the loopback address, its JSON API, and the files of the page.

It needs the extra `ui`, and nothing else in the package imports it: the command line loads it by its name.
"""
