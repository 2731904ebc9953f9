"""What apps of Lightning App import besides our own classes, and the names under which they find it."""
