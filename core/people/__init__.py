"""The owner, with a credential and browser sessions (`owner`), and the owner's paired devices (`device`)."""
