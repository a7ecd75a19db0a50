"""Images and labels: their sources, split, decoding, preprocessing and augmentation."""
