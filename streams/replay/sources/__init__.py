"""Where a replay reads from: files and Kafka, raw messages and scored mentions."""
