"""One node put together: `bootstrap` opens each part in order; here are its data folder, disk guard, logs and checks of its views."""
