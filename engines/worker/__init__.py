"""The process that runs jobs: one per data directory, detached from every terminal."""
