"""The store that keeps drives in plain files of this machine.

store       LocalStore: the operations of a store
layout      the folders of a drive
put         one `put`: checks, copy or move of the source
commit      changes what is visible in a drive
exchange    exchanges two folders, if need be in two steps
staging     files that are not visible yet, or not any more
lookup      finds and opens what is visible
delivery    writes the result of a `get` into the user's folders
name_index  names of big folders, to find names that differ in case
verify      compares a drive on disk with its promises
"""
