"""The steps of an app's life: arrival, installation, pause, upgrade, rollback and removal. Each can be repeated after a kill."""
