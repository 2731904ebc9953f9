"""The store that keeps drives in plain files of this machine.

store          LocalStore: the operations of a store; a put is staged, and made visible under a lock
drive_folders  the folders of a drive, and how two of them are exchanged
lookup         finds and opens visible files and folders
name_index     names of big folders, to find names that differ in case
verify         compares a drive on disk with its promises
"""
