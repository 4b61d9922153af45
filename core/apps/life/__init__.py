"""The steps of an app's life: arrival, installation, pause, upgrade, rollback and removal. Each can be done again after a kill."""
