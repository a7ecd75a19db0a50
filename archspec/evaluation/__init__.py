"""What a trained network takes images for, and how well it does."""
