"""The owner, with a credential and browser sessions (`owner`), and the devices that were paired (`device`)."""
