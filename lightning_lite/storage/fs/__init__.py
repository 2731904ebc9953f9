"""Operations on the file system from which the local store is built."""
