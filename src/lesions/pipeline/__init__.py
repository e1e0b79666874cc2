"""Infrastructure that stages share: flags, settings, errors, processes, locks."""
