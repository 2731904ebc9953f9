"""The code that all stores share, for the source of a put and the result of a get.

staging   files that are not visible yet, or not any more; the open source of a put, and its copy
snapshot  makes that copy the state of the source at one moment
move      the source of a move: whether it may be moved, and its removal
delivery  writes the result of a `get` into the user's folders
"""
