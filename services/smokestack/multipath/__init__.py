"""The host's multipath I/O layer: devices, paths, queues and path selection."""
