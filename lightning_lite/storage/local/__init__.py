"""The store that keeps drives in plain files of this machine.

store          LocalStore: the operations of a store
drive_folders  the folders of a drive
exchange       how two of its folders are exchanged
changes        puts and deletes: staged without the lock, made visible under it
lookup         finds and opens what is visible
name_index     names of big folders, to find names that differ in case
verify         compares a drive on disk with its promises
"""
