"""Messages scored again, on all cores, in segments that outlive a kill."""
