"""Who may come in: passwords now; sessions, identities and sign-in flows join them."""
