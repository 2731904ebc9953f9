"""The store that keeps drives in plain files of this machine.

store       LocalStore: the operations of a store
layout      the folders of a drive; the staging folder; how two folders are exchanged
changes     puts and deletes: staged without the lock, made visible under it
lookup      finds and opens what is visible
delivery    writes the result of a `get` into the user's folders
name_index  names of big folders, to find names that differ in case
verify      compares a drive on disk with its promises
"""
