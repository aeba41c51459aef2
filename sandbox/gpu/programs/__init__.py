"""Programs that run in pods of GPU nodes. They start without the site's packages, so that each costs little."""
