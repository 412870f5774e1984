"""What defines a trial or a full training run: config classes, reading them, the bundled presets."""
