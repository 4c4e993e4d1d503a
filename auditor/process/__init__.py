"""The process that an audit runs in: random streams, global switches, memory, and other processes."""
