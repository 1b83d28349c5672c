"""The configuration: one TOML file, read, resolved, checked and watched."""
