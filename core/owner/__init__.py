"""The owner: the credential made at first start, one-time sign-in links, and browser sessions."""
