"""Providers: the catalog of presets, and a user's account bound to one of them."""
