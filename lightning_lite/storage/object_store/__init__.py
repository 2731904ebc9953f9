"""The store that keeps drives in a bucket of an S3-compatible object store.

    <prefix>/drives/<drive>/top/<name>   manifest: the files that all components have put under one first name
    <prefix>/drives/<drive>/data/<id>    content: written once under a new id, never changed
    <prefix>/conditions/<endpoint>       remembers that this store keeps conditions

A put uploads its content first. Then it replaces the manifest of the first name of its path, on the condition
that the manifest is still the one that it has read. That is the moment in which the put takes effect.
"""
