"""What outlives the daemon: files of SQLite, each kept by one process."""
