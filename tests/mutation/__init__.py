"""Would a test notice? One place of the source is changed at a time, and its tests are run."""
