"""Operations on the file system, from which both stores are built."""
