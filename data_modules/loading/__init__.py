"""From files on disk to batches: files, datasets, samplers, loaders, cache, transforms."""
