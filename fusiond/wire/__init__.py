"""One module a family: bytes in, a `Request` out; events in, bytes out. No I/O, no clock, no knowledge of members."""
