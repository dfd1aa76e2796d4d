"""From bytes to clean messages: decode and validate, normalise, detect the language, redact, link to companies."""
